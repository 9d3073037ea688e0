import errno
import os
from unittest.mock import Mock
from urllib.error import URLError

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmcls_repmlp.host import NAME
from mmcls_repmlp.jobs.shared.config import (build_loop, build_runner,
                                             data_errors, loader_config,
                                             read_config, set_work_dir)
from repmlp_lite.errors import ConfigError, UserError


def test_options_change_settings_and_the_host_is_the_default_scope(tmp_path):
    (tmp_path / 'a.py').write_text('model = dict(a=dict(b=1))')
    cfg = read_config(tmp_path / 'a.py', {'model.a.b': 2})
    assert cfg.model.a.b == 2 and cfg.default_scope == NAME


@pytest.mark.parametrize(('name', 'message'), [
    ('no.py', "config '.*no.py' does not exist"),
    ('', 'is a folder, name a file in it'),
    ('a.py', 'has no model'),
    ('b.py', 'default_scope is 3: it names a registry'),
])
def test_what_is_no_config(tmp_path, name, message):
    (tmp_path / 'a.py').write_text('a = 1')
    (tmp_path / 'b.py').write_text('model = {}\ndefault_scope = 3')
    with pytest.raises(ConfigError, match=message):
        read_config(tmp_path / name)


@pytest.mark.parametrize(('own', 'argument', 'expected'),
                         [(None, None, 'work_dirs/name'), ('own', None, 'own'),
                          ('own', 'given', 'given')])
def test_work_dir(own, argument, expected):
    cfg = Config(dict(work_dir=own))
    set_work_dir(cfg, 'configs/name.py', argument)
    assert cfg.work_dir == expected


def test_a_work_dir_that_cannot_be_is_refused(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='no folder that you may write to'):
        set_work_dir(Config(), 'a.py', str(tmp_path / 'file'))


@pytest.mark.parametrize('gpu', [True, False])
@pytest.mark.parametrize(('given', 'persistent'), [
    (dict(num_workers=2, pin_memory=True), True),
    (dict(num_workers=2, persistent_workers=False), False),
    (dict(num_workers=0, persistent_workers=True), False),
])
def test_loaders_are_completed_but_not_overruled(monkeypatch, gpu, given,
                                                 persistent):
    monkeypatch.setattr('torch.cuda.is_available', lambda: gpu)
    cfg = Config(dict(val_dataloader=given, test_dataloader=None))
    assert loader_config(cfg, 'val') == dict(
        given,
        persistent_workers=persistent,
        pin_memory=gpu,
        collate_fn=dict(type='default_collate'))
    assert cfg.test_dataloader is None
    off = Config(dict(val_dataloader=dict(pin_memory=False)))
    assert not loader_config(off, 'val').pin_memory


@pytest.mark.parametrize(('key', 'value', 'message'), [
    ('model.backbone.arch', 'x',
     "config cannot be built: .*arch 'x' is not in "
     'default archs: choose from t, tiny'),
    ('train_dataloader.dataset.data_root', 'nowhere',
     r"train data set in 'nowhere' cannot be read \(.*nowhere/train.*"
     'train_dataloader.dataset.data_root=FOLDER'),
    ('train_dataloader.dataset.pipeline.0.type', 'NoSuchTransform',
     'train loop of the config cannot be built.*NoSuchTransform'),
])
def test_what_cannot_be_built(project, work_dir, key, value, message):
    cfg = read_config(project.config, {key: value, 'work_dir': work_dir})
    with pytest.raises(ConfigError, match=message):
        build_loop(build_runner(cfg), 'train')


def test_a_loader_that_is_not_there():
    with pytest.raises(ConfigError, match='no val_dataloader, only none at'):
        loader_config(Config(), 'val')
    cfg = Config(dict(train_dataloader=dict(), val_dataloader=None))
    with pytest.raises(ConfigError, match='only train_dataloader'):
        loader_config(cfg, 'val')


NO_ROUTE = URLError('no route to host')


@pytest.mark.parametrize(('data', 'error', 'said'), [
    (dict(data_root='here'), FileNotFoundError('a/b'),
     r"train data set in 'here' .*\(a/b\).*dataset.data_root=FOLDER"),
    (dict(data_root='here'), RuntimeError('Found 0'), r"in 'here'.*\(Found 0"),
    (dict(type='CIFAR10', data_prefix='data/cifar10'), NO_ROUTE,
     "in 'data/cifar10' is not there, nor to be had .*no route.*: put https://"
     r'\S+cifar-10-python.tar.gz there, or .*dataset.data_prefix=FOLDER'),
    (dict(type='CIFAR10', data_prefix='c', data_root='root'), NO_ROUTE,
     "in 'root' is not there.*dataset.data_root=FOLDER"),
    (dict(type='CustomDataset', data_prefix='train'), NO_ROUTE,
     "in 'train' cannot be read .*: put it there, .*data_prefix=FOLDER"),
    (dict(type='CustomDataset', data_prefix=dict(img_path='')), NO_ROUTE,
     "in '' cannot be read .*: put it there, .*data_root=FOLDER"),
])
def test_missing_data_are_named_with_the_remedy(data, error, said):
    cfg = Config(dict(train_dataloader=dict(dataset=data)))
    with pytest.raises(ConfigError, match=said):
        with data_errors(cfg, 'train'):
            raise error


@pytest.mark.parametrize(('code', 'kind'), [(errno.ENOSPC, OSError),
                                            (errno.ENOENT, ConfigError)])
def test_a_full_disk_is_no_fault_of_the_config(monkeypatch, code, kind):
    error = OSError(code, os.strerror(code), 'work_dirs')
    monkeypatch.setattr(Runner, 'from_cfg', Mock(side_effect=error))
    with pytest.raises(kind, match=error.strerror):
        build_runner(Config())


def test_parts_of_the_host_are_replaced_before_a_config_is_dumped(tmp_path):
    path = tmp_path / 'own.py'
    path.write_text("model = dict()\ntrain_dataloader = dict(dataset=dict("
                    "type='CustomDataset', pipeline=[dict("
                    "type='LoadImageFromFile')]))")
    text = read_config(path).pretty_text
    for ours in ('ImageFolder', 'LoadImageStrict', 'AtomicCheckpointHook',
                 'ReproducibleSeedHook'):
        assert f"type='{ours}'" in text
