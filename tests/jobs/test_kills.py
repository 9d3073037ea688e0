"""Nothing is lost when a training is killed, or the disk is full."""
from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmcls_repmlp.jobs.train.train import train
from tests.helpers import MINI, ROOT, TINY, quick_loaders, write_config
from tests.programs import TOOLS, run_python

_KILLS = 20
_PROCESS = dict(
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
    env=os.environ | dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1'))
BY_EPOCH = 'default_hooks.checkpoint.by_epoch'


@pytest.fixture
def config(tmp_path, digits):
    """A checkpoint after every iteration, one kept: much to be killed in."""
    nothing = dict.fromkeys(f'{phase}_{part}' for phase in ('val', 'test')
                            for part in ('dataloader', 'cfg', 'evaluator'))
    return write_config(
        tmp_path / 'config.py',
        MINI,
        **(quick_loaders(digits, batch_size=2) | nothing),
        model=dict(backbone=dict(arch=TINY), head=dict(in_channels=32)),
        train_cfg=dict(max_epochs=1),
        optim_wrapper=dict(optimizer=dict(lr=1e-4)),
        param_scheduler=[],
        default_hooks=dict(checkpoint=dict(by_epoch=False)))


def start(before, *argv):
    """Start a training as a program, after something is done to it."""
    command = [sys.executable, TOOLS / 'train.py', *argv]
    return subprocess.Popen(command, preexec_fn=before, **_PROCESS)


@pytest.mark.slow
def test_a_whole_checkpoint_survives_every_kill(config, tmp_path):
    done = run_python(
        Path(__file__).with_name('kill_trainings.py'),
        config,
        tmp_path / 'work',
        _KILLS,
        PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    *killed, finished = json.loads(done.stdout)
    newest = 0
    assert len(killed) == _KILLS
    for found in killed:
        assert found['status'] == signal.SIGKILL
        assert not found['torn']
        assert found['whole'] or not newest
        assert found['scratch'] <= 1
        assert found['last'] is None or Path(found['last']).suffix == '.pth'
        newest, before = max(found['whole'], default=0), newest
        assert newest >= before
    assert newest > 0
    assert finished['status'] == 0
    assert finished['whole'] == [(newest // 20 + 1) * 20]
    assert finished['scratch'] == 0


def test_a_full_disk_leaves_the_old_checkpoint(config, tmp_path):
    work = tmp_path / 'work'
    train(config, str(work), cfg_options={BY_EPOCH: True})
    before = (work / 'epoch_1.pth').read_bytes()
    limit = (len(before) - 1, ) * 2  # more than any log
    full = start(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
                 config, '--work-dir', work, '--resume', '--cfg-options',
                 f'{BY_EPOCH}=True', 'train_cfg.max_epochs=2')
    error = full.communicate()[1]
    assert full.returncode == 1 and 'Traceback' not in error
    said = error.splitlines()[-1]
    assert "epoch_2.pth' cannot be written (File too large)" in said
    assert f'{work}/epoch_1.pth is the last whole checkpoint' in said
    log = Path(said.split('the traceback is in ')[1].rstrip(')'))
    assert log.is_relative_to(work) and 'Traceback' in log.read_text()
    assert [path.name for path in work.glob('*.pth')] == ['epoch_1.pth']
    assert (work / 'epoch_1.pth').read_bytes() == before
    assert not [*work.glob('.mmcls_repmlp-*')]
    assert (work / 'last_checkpoint').read_text() == str(work / 'epoch_1.pth')


@pytest.mark.parametrize(('stop', 'code'), [(signal.SIGINT, 130),
                                            (signal.SIGTERM, 143)])
def test_who_stops_a_training_is_told_what_is_saved(config, tmp_path, stop,
                                                    code):
    work = tmp_path / 'work'
    # Shells let what they start in the background ignore it.
    training = start(lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
                     config, '--work-dir', work, '--cfg-options',
                     'train_cfg.max_epochs=100000')
    while training.poll() is None and not [*work.glob('iter_*.pth')]:
        time.sleep(0.05)
    training.send_signal(stop)
    try:
        said = training.communicate(timeout=120)[1]
    finally:
        training.kill()
    assert training.returncode == code, said
    assert 'Traceback' not in said
    newest, = work.glob('iter_*.pth')
    assert said.splitlines()[-1] == (
        f'train.py: stopped: {newest} is the last whole checkpoint, --resume '
        'goes on from it')
