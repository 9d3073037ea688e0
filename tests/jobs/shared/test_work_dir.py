import os
import shutil
from contextlib import nullcontext, suppress
from errno import ENOLCK
from pathlib import Path
from unittest.mock import Mock

import pytest
from mmengine.config import Config

from mmcls_repmlp.checkpoints import write_checkpoint
from mmcls_repmlp.jobs.reparameterize_model import reparameterize_checkpoint
from mmcls_repmlp.jobs.shared import work_dir as module
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.source import open_source
from mmcls_repmlp.jobs.shared.work_dir import (check_work_dir_unused,
                                               config_beside, lock_work_dir,
                                               remove_earlier_run,
                                               saved_checkpoints, set_work_dir,
                                               write_config_beside,
                                               write_training_config)
from mmcls_repmlp.jobs.testing.test import test as run_test
from mmcls_repmlp.jobs.train.train import train
from repmlp_lite.errors import CheckpointError, ConfigError, UserError
from tests.helpers import code_making


@pytest.fixture
def config(tmp_path):

    def make(*names, **hook):
        work = tmp_path / 'work'
        for path in [work / name for name in names]:
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_text(module._MARK * (path.suffix == '.py'))
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


@pytest.mark.parametrize(('names', 'step', 'named'), [
    (['epoch_1.pth', 'epoch_3.pth'], None, 'epoch_3.pth'),
    (['epoch_1.pth', 'epoch_3.pth'], 1, 'epoch_3.pth'),
    (['best_acc_epoch_3.pth'], None, 'best_acc_epoch_3.pth'),
    (['a.py'], None, 'a.py'),
    (['a.py', 'epoch_3.pth'], 3, 'a.py'),
])
def test_nothing_is_replaced_unasked(config, names, step, named):
    cfg = config(*names)
    words = f'{named} of another training run: .*resume=.*work_dir=.*force=Tr'
    with pytest.raises(UserError, match=words):
        check_work_dir_unused(cfg, step)
    check_work_dir_unused(cfg, step, force=True)


def test_what_is_not_replaced_is_no_hindrance(config):
    cfg = config('epoch_1.pth', 'epoch_3.pth', 'best_acc_epoch_3.pth')
    write_training_config(cfg)
    Path(cfg.work_dir, 'script.py').write_text('print(1)')
    check_work_dir_unused(cfg, 3)
    check_work_dir_unused(Config(dict(work_dir=cfg.work_dir + '2')), None)


@pytest.mark.parametrize(
    ('text', 'step', 'refused'),
    [
        ('model = 1', None, True),
        ('model = 1', 1, False),  # as the host's tools leave it
        ("_base_ = 'a.py'\nmodel = 1", 1, True),
        ('# Mine.\nmodel = 1', 1, True),
        ('"Mine."\nmodel = 1', 1, True),
    ])
def test_a_config_that_a_user_wrote_is_not_replaced(config, text, step,
                                                    refused):
    cfg = config()
    Path(cfg.work_dir).mkdir()
    Path(cfg.work_dir, 'config.py').write_text(text)
    words = "config.py' is not the config of a train"
    with pytest.raises(UserError, match=words) if refused else nullcontext():
        check_work_dir_unused(cfg, step, force=True)


def test_checkpoints_beside_the_config_count_too(config, tmp_path):
    cfg = config('epoch_1.pth', out_dir=str(tmp_path / 'other'))
    with pytest.raises(UserError, match='epoch_1.pth of another'):
        check_work_dir_unused(cfg, None)


def test_a_recorded_config_goes_with_its_folder(config, tmp_path):
    cfg = config()
    write_training_config(cfg, load_from='a.pth')
    moved = tmp_path / 'moved'
    Path(cfg.work_dir).rename(moved)
    again = Config.fromfile(moved / 'config.py')
    assert again.load_from == 'a.pth'
    for given, expected in ((None, str(moved)), ('given', 'given')):
        set_work_dir(again, moved / 'config.py', given)
        assert again.work_dir == expected


@pytest.mark.parametrize(
    ('step', 'left'),
    [(None, ['log', 'merged.pth']),
     (1, ['best_acc_epoch_3.pth', 'epoch_1.pth', 'log', 'merged.pth'])])
def test_an_earlier_run_is_removed_and_nothing_else(config, step, left):
    cfg = config('epoch_1.pth', 'epoch_3.pth', 'best_acc_epoch_3.pth', 'log',
                 'merged.pth', 'last_checkpoint', 'a.py')
    for _ in range(2):
        remove_earlier_run(cfg, step)
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


def test_the_config_of_its_own_stem_goes_first(folder):
    own = write_config_beside(
        read_config(folder / 'quick.py'), folder / 'deploy.pth')
    assert config_beside(folder / 'deploy.pth') == own
    assert config_beside(folder / 'epoch_2.pth') == folder / 'quick.py'


def test_the_config_that_the_host_left(folder):
    # Its tools leave no mark, and what was converted has a config, too.
    quick = folder / 'quick.py'
    quick.write_text(quick.read_text().removeprefix(module._MARK))
    write_config_beside(read_config(quick), folder / 'deploy.pth')
    write_checkpoint(dict(a=1), folder / 'deploy.pth')
    assert config_beside(folder / 'epoch_2.pth') == quick


def test_without_a_config_one_is_asked_for(project, folder, tmp_path, marker):
    (tmp_path / 'script.py').write_text(code_making(marker))
    (tmp_path / 'other.py').write_text(f'model = 1\n{code_making(marker)}')
    shutil.copy(project.trained, tmp_path / 'a.pth')
    for checkpoint in (tmp_path / 'a.pth', 'https://example.com/a.pth'):
        with pytest.raises(ConfigError, match='is none: name the config'):
            config_beside(checkpoint)
    shutil.copy(folder / 'quick.py', folder / 'more.py')
    with pytest.raises(ConfigError, match=r'several \(more.py, quick.py\)'):
        open_source(None, folder)
    with pytest.raises(CheckpointError, match=r'holds no epoch_N\.pth'):
        open_source(None, tmp_path)


def test_later_commands_leave_the_config_of_the_training_alone(
        project, folder):
    quick = folder / 'quick.py'
    before = quick.read_bytes()
    run_test(quick, folder / 'epoch_2.pth', tta=True)
    run_test(None, folder, tta=True)
    with pytest.raises(UserError):
        run_test(None, folder, cfg_options={'model.head.num_classes': 3})
    with pytest.raises(UserError, match='of another training run'):
        train(project.deploy_config, str(folder), resume='auto', no_test=True)
    with pytest.raises(UserError, match='is the config of a training run'):
        reparameterize_checkpoint(
            project.config, folder, folder / 'quick.pth', force=True)
    reparameterize_checkpoint(
        None, folder, folder / 'a.pth', deploy_cfg=folder / 'b.py')
    assert quick.read_bytes() == before
    assert config_beside(folder / 'epoch_2.pth') == quick
    run_test(None, folder / 'a.pth')


@pytest.mark.parametrize(('own', 'argument', 'expected'),
                         [(None, None, 'work_dirs/name'), ('own', None, 'own'),
                          ('own', 'given', 'given')])
def test_work_dir(own, argument, expected):
    cfg = Config(dict(work_dir=own))
    set_work_dir(cfg, 'configs/name.py', argument)
    assert cfg.work_dir == expected


def test_a_work_dir_must_be_writable(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='not a folder that you may write to'):
        set_work_dir(Config(), 'a.py', str(tmp_path / 'file'))


def test_the_home_folder_in_an_option(config, tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    cfg = config()
    set_work_dir(cfg, 'config.py', '~/runs')
    assert cfg.work_dir == str(tmp_path / 'runs')


def test_a_merged_checkpoint_is_no_numbered_one(folder):
    for name, words in (('epoch_9.pth', 'would be taken for a checkpoint'),
                        ('iter_1.pth', 'would be taken'), ('deploy.pth', '')):
        with pytest.raises(UserError, match=words) if words else nullcontext():
            module.check_pair_writable(folder / name)
