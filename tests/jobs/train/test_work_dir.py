import os
from contextlib import suppress
from errno import ENOLCK
from unittest.mock import Mock

import pytest
from mmengine.config import Config

from mmcls_repmlp.jobs.train import work_dir as module
from mmcls_repmlp.jobs.train.work_dir import (check_work_dir_unused,
                                              lock_work_dir,
                                              remove_checkpoints,
                                              saved_checkpoints)
from repmlp_lite.errors import UserError


@pytest.fixture
def config(tmp_path):

    def make(*names, **hook):
        work = tmp_path / 'work'
        for path in [work / name for name in names]:
            path.parent.mkdir(exist_ok=True, parents=True)
            path.touch()
        hooks = dict(checkpoint=hook)
        return Config(dict(work_dir=str(work), default_hooks=hooks))

    return make


@pytest.mark.parametrize(
    ('hook', 'names'),
    [(dict(), ['epoch_2.pth', 'epoch_1.pth', 'iter_9.pth']),
     (dict(by_epoch=False), ['iter_9.pth', 'epoch_2.pth', 'epoch_1.pth']),
     (dict(filename_tmpl='my_{}.pth'),
      ['my_3.pth', 'epoch_2.pth', 'epoch_1.pth', 'iter_9.pth'])])
def test_checkpoints_of_this_config_come_first(config, hook, names):
    cfg = config('epoch_1.pth', 'epoch_2.pth', 'iter_9.pth', 'my_3.pth',
                 **hook)
    assert [path.name for _, path in saved_checkpoints(cfg)] == names


def test_checkpoints_elsewhere(config, tmp_path):
    cfg = config('../other/work/epoch_1.pth', out_dir=str(tmp_path / 'other'))
    path = tmp_path / 'other' / 'work' / 'epoch_1.pth'
    assert saved_checkpoints(cfg) == [(1, path)]


def test_nothing_is_replaced_unasked(config):
    cfg = config('epoch_1.pth', 'epoch_3.pth')
    words = (
        'epoch_3.pth the newest, which this one would replace: .*resume=.*'
        'work_dir=.*force=True')
    for step in (None, 1):  # anew, or going back
        with pytest.raises(UserError, match=words):
            check_work_dir_unused(cfg, step)
    check_work_dir_unused(cfg, 3)
    check_work_dir_unused(Config(dict(work_dir=cfg.work_dir + '2')), None)


@pytest.mark.parametrize(
    ('step', 'left'),
    [(None, ['log', 'merged.pth']),
     (1, ['best_acc_epoch_3.pth', 'epoch_1.pth', 'log', 'merged.pth'])])
def test_replaced_checkpoints_are_removed_and_nothing_else(config, step, left):
    cfg = config('epoch_1.pth', 'epoch_3.pth', 'best_acc_epoch_3.pth', 'log',
                 'merged.pth', 'last_checkpoint')
    for _ in range(2):
        remove_checkpoints(cfg, step)
        assert sorted(os.listdir(cfg.work_dir)) == left


def free(work_dir):
    """Whether another training may run there."""
    with suppress(UserError), lock_work_dir(str(work_dir)):
        return True
    return False


def test_one_training_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'PATIENCE', 0.1)
    work = str(tmp_path / 'work')
    with lock_work_dir(work):
        with pytest.raises(UserError, match='another training run uses'):
            with lock_work_dir(work):
                pass
        assert free(work + '2')
        # Other processes of the same training are let in.
        monkeypatch.setenv('RANK', '1')
        assert free(work)
    monkeypatch.delenv('RANK')
    assert free(work)


def test_file_systems_without_locks(tmp_path, monkeypatch):
    monkeypatch.setattr('fcntl.flock', Mock(side_effect=OSError(ENOLCK, '')))
    with lock_work_dir(str(tmp_path)):
        assert free(tmp_path)
