"""Stops at any moment end a tool with one sentence and an exit code.

``make stops`` tries hundreds of moments, made by a seed.
"""
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.programs import TOOLS, call

STOPS = int(os.environ.get('STOPS', 8))
NUMBERS = signal.SIGINT, signal.SIGTERM
LINES = [
    'train.py CONFIG --work-dir OUT/work --cfg-options LOADER.num_workers=2 '
    'LOADER.persistent_workers=True train_cfg.max_epochs=40',
    'test.py CONFIG TRAINED --work-dir OUT/work --out OUT/out.pkl',
    'convert_models/reparameterize_model.py CONFIG TRAINED OUT/out.pth',
    'deployment/export.py CONFIG TRAINED OUT/out.onnx',
    'deployment/predict.py ONNX DATA --out OUT/out.csv',
]


def wait_for_handlers(process):
    """Wait until a process catches SIGTERM, or has ended."""
    while process.poll() is None:
        status = Path(f'/proc/{process.pid}/status').read_text()
        caught = int(status.split('SigCgt:')[1].split()[0], 16)
        if caught >> signal.SIGTERM - 1 & 1:
            return
        time.sleep(0.001)


def stop(command, number, delay, whole_group, log):
    """Stop a command after a delay.

    Return its output, its exit code, and those expected.
    """
    with open(log, 'w+') as file, subprocess.Popen(
            command,
            stdout=file,
            stderr=file,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    ) as process:
        wait_for_handlers(process)
        time.sleep(delay)
        # Python's last steps, behind its handlers, end by the signal itself.
        expected = {128 + number, -number}
        if process.poll() is not None:
            expected = {0}
        else:
            (os.killpg if whole_group else os.kill)(process.pid, number)
        code = process.wait(60)
        return Path(log).read_text(), code, expected


@pytest.fixture
def lines(project, tmp_path):
    """The command lines, and after how many seconds each may be stopped."""
    words = dict(
        CONFIG=project.config,
        TRAINED=project.trained,
        DATA=project.data / 'val',
        LOADER='train_dataloader',
        ONNX=tmp_path / 'a.onnx')
    longest = [0.6] * 4
    if STOPS > 8:  # the whole length of each
        longest = [9, 6, 5, 8, 2]
        line = [project.config, project.trained, words['ONNX']]
        assert call('export', *line) == 0
    return words, [*zip(LINES, longest)]


def test_a_stop_at_any_moment_is_one_sentence(lines, tmp_path):
    numbers, (words, commands) = random.Random(0), lines
    wrong = []
    for i in range(STOPS):
        line, longest = commands[i % len(commands)]
        out = tmp_path / str(i)
        out.mkdir()
        filled = line.replace('OUT', str(out))
        for word, value in words.items():
            filled = filled.replace(word, str(value))
        tool, *arguments = filled.split()
        number = numbers.choice(NUMBERS)
        delay, group = numbers.uniform(0, longest), numbers.random() < 0.5
        text, code, expected = stop([sys.executable, TOOLS / tool, *arguments],
                                    number, delay, group, out / 'log')
        last = [*text.splitlines(), ''][-1 if not text else -2]
        stopped = last.startswith(f'{Path(tool).name}: stopped')
        if (code not in expected or stopped != (code == 128 + number)
                or text.count(': stopped') > 1 or 'Traceback' in text
                or 'Exception ignored' in text):
            wrong.append((tool, number, delay, group, code, text[-3000:]))
        if STOPS > 8:
            print(tool, int(number), f'{delay:.2f}', group, code, last)
    assert not wrong, wrong
