import subprocess
import sys
from types import SimpleNamespace

import torch

from tests.processors import LEVELS, THREADS, main, settings


def test_settings_of_older_processors_and_of_this_one():
    assert len(settings('AVX512')) == 8
    levels = LEVELS['DEFAULT'], LEVELS['AVX2'], {}
    assert settings('AVX2') == [
        level | threads for level in levels for threads in THREADS
    ]
    assert settings('SVE256') == [*THREADS]


def test_every_setting_is_run_and_a_failed_one_counted(monkeypatch):
    runs = []

    def run(command, env):
        runs.append((command, env['OMP_NUM_THREADS']))
        return SimpleNamespace(returncode=len(runs) == 2)

    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability',
                        lambda: 'DEFAULT')
    monkeypatch.setattr(subprocess, 'run', run)
    assert main(['tests/ops']) == 1
    assert runs == [([sys.executable, '-m', 'pytest', 'tests/ops'], threads)
                    for threads in '1212']
    assert main([]) == 0
