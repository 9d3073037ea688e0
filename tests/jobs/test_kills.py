"""Nothing is lost when training is killed or stopped, or the disk is full.

Nor when others write into its folder: ``make at-once`` does it for longer.
"""
from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from mmcls_repmlp.jobs.train.train import train
from tests.helpers import MINI, TINY, quick_loaders, write_config
from tests.programs import fork_trainings

KILLS = 12
WRITES = int(os.environ.get('WRITES', 20))
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


def test_a_whole_checkpoint_survives_every_kill(config, tmp_path):
    (*killed,
     finished), = fork_trainings(['kill', config, tmp_path / 'work', KILLS])
    newest = 0
    assert len(killed) == KILLS
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


def test_a_full_disk_a_stop_or_other_writers_lose_no_checkpoint(
        config, tmp_path):
    full, *stopped = [tmp_path / name for name in ('full', '2', '15')]
    train(config, str(full), cfg_options={BY_EPOCH: True}, no_test=True)
    before = (full / 'epoch_1.pth').read_bytes()
    limit = len(before) - 1  # more than any log
    shared, ending, *stops = fork_trainings(
        ['work_at_once', config, tmp_path / 'shared', WRITES],
        ['fill_disk', config, full, limit],
        *(['stop', config, work, int(work.name)] for work in stopped))
    check_shared(shared)
    check_full_disk(full, *ending)
    assert (full / 'epoch_1.pth').read_bytes() == before
    for work, ending in zip(stopped, stops):
        check_stop(work, *ending)


def check_shared(found):
    assert not any(found['statuses']), found['log']
    assert found['files'] == 2 * WRITES
    assert found['is_whole']
    assert len(found['whole']) == 1 and not found['torn']
    assert found['scratch'] == 0


def check_full_disk(work, code, output):
    assert code == 1 and 'Traceback' not in output
    last = output.splitlines()[-1]
    assert "epoch_2.pth' cannot be written (File too large)" in last
    assert f'{work}/epoch_1.pth is the last whole checkpoint' in last
    log = Path(last.split('the traceback is in ')[1].rstrip(')'))
    assert log.is_relative_to(work) and 'Traceback' in log.read_text()
    assert [path.name for path in work.glob('*.pth')] == ['epoch_1.pth']
    assert not [*work.glob('.mmcls_repmlp-*')]
    assert (work / 'last_checkpoint').read_text() == str(work / 'epoch_1.pth')


def check_stop(work, code, output):
    assert code == 128 + int(work.name), output
    assert 'Traceback' not in output
    newest, = work.glob('iter_*.pth')
    assert output.splitlines()[-1] == (
        f'train.py: stopped: {newest} is the last whole checkpoint, --resume '
        'continues from it')
