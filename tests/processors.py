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

# What torch calls a processor, and what it and oneDNN use on a lesser one. No
# variable: everything that this machine has.
LEVELS = {
    'DEFAULT': ({'ATEN_CPU_CAPABILITY': 'default',
                 'DNNL_MAX_CPU_ISA': 'SSE41'}, ),
    'AVX2': ({'ATEN_CPU_CAPABILITY': 'avx2', 'DNNL_MAX_CPU_ISA': 'AVX2'}, ),
    # Without VNNI and bfloat16, and with what there is of them.
    'AVX512': ({'ATEN_CPU_CAPABILITY': 'avx512',
                'DNNL_MAX_CPU_ISA': 'AVX512_CORE'}, {}),
}
THREADS = ('1', '2')


def settings(capability: str) -> list[dict[str, str]]:
    """List the settings that a machine of this capability offers."""
    names = [*LEVELS]
    if capability not in names:  # no x86-64
        levels = [{}]
    else:
        levels = [level for name in names[:names.index(capability) + 1]
                  for level in LEVELS[name]]
    return [{**level, 'OMP_NUM_THREADS': threads}
            for level in levels for threads in THREADS]


def main(arguments: list[str]) -> int:
    """Run the suite under each setting; 1 if it was red under one."""
    red = []
    for setting in settings(torch.backends.cpu.get_cpu_capability()):
        name = ' '.join(f'{key}={value}' for key, value in setting.items())
        print(f'\n== {name}', flush=True)
        if subprocess.run([sys.executable, '-m', 'pytest', *arguments],
                          env={**os.environ, **setting}).returncode:
            red.append(name)
    print('\n' + '\n'.join(f'red: {name}' for name in red) if red
          else '\ngreen under every setting')
    return int(bool(red))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
