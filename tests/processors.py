"""Run the suite as on older processors, and with more threads.

``python tests/processors.py [arguments of pytest]`` runs it once for each
setting that this machine can imitate, eight on one with AVX-512, and continues
after a failure.
"""
import os
import subprocess
import sys

import torch

# Settings of torch, oneDNN, MKL and OpenCV by torch's name of a processor.
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


def settings(capability):
    """List the settings for a machine of this capability, its own last."""
    names = [*LEVELS]
    count = names.index(capability) + 1 if capability in names else 0  # no x86
    levels = [*map(LEVELS.get, names[:count]), {}]
    return [level | threads for level in levels for threads in THREADS]


def main(arguments):
    """Run the suite under each setting; return the number that failed."""
    failed = 0
    for setting in settings(torch.backends.cpu.get_cpu_capability()):
        name = ' '.join(f'{key}={value}' for key, value in setting.items())
        print(f'\n== {name}', flush=True)
        command = [sys.executable, '-m', 'pytest', *arguments]
        if subprocess.run(command, env=os.environ | setting).returncode:
            print(f'failed: {name}')
            failed += 1
    print(f'\nsettings that failed: {failed}')
    return failed


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
