"""Runs the suite as lesser processors and more threads would.

``python tests/processors.py [arguments of pytest]`` runs it once for each
setting that this machine offers, and goes on after a red one. All of it takes
eight times as long as the suite on a machine with AVX-512.
"""
from __future__ import annotations

import os
import subprocess
import sys

import torch

# By torch's name: what it, oneDNN, MKL and OpenCV use on such a processor.
LEVELS = {
    'DEFAULT': dict(
        ATEN_CPU_CAPABILITY='default',
        DNNL_MAX_CPU_ISA='SSE41',
        MKL_CBWR='COMPATIBLE',
        OPENCV_CPU_DISABLE='AVX,AVX2,AVX512-SKX'),
    'AVX2': dict(
        ATEN_CPU_CAPABILITY='avx2',
        DNNL_MAX_CPU_ISA='AVX2',
        OPENCV_CPU_DISABLE='AVX512-SKX'),
    # Without VNNI and bfloat16.
    'AVX512': dict(
        ATEN_CPU_CAPABILITY='avx512', DNNL_MAX_CPU_ISA='AVX512_CORE')
}
# Several processes share the cores: a thread that waits must not spin.
THREADS = (dict(OMP_NUM_THREADS='1'),
           dict(OMP_NUM_THREADS='2', OMP_WAIT_POLICY='PASSIVE'))


def settings(capability: str) -> list[dict[str, str]]:
    """List what a machine of this capability offers, itself the last."""
    names = [*LEVELS]
    count = names.index(capability) + 1 if capability in names else 0  # no x86
    levels = [*map(LEVELS.get, names[:count]), {}]
    return [{**level, **threads} for level in levels for threads in THREADS]


def main(arguments: list[str]) -> int:
    """Run the suite under each setting; 1 if it was red under one."""
    red = []
    for setting in settings(torch.backends.cpu.get_cpu_capability()):
        name = ' '.join(f'{key}={value}' for key, value in setting.items())
        print(f'\n== {name}', flush=True)
        env = {**os.environ, **setting}
        command = [sys.executable, '-m', 'pytest', *arguments]
        if subprocess.run(command, env=env).returncode:
            red.append(name)
    said = [f'red: {name}' for name in red] or ['green under every setting']
    print('', *said, sep='\n')
    return int(bool(red))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
