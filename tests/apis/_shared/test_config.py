import errno
import os
from urllib.error import URLError

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmcls_repmlp.apis._shared.config import (build_loop, build_runner,
                                              data_errors, loader_config,
                                              read_config, set_loader_defaults,
                                              set_work_dir)
from mmcls_repmlp.errors import ConfigError, UserError
from mmcls_repmlp.host import NAME


def write(folder, text):
    path = folder / 'config.py'
    path.write_text(text)
    return path


def test_options_change_settings(project):
    cfg = read_config(project.config, {'model.backbone.img_size': 64})
    assert cfg.model.backbone.img_size == 64


def test_the_host_is_the_default_scope(tmp_path):
    path = write(tmp_path, 'model = dict(type="ImageClassifier")')
    assert read_config(path).default_scope == NAME


@pytest.mark.parametrize(('text', 'message'), [
    ('model = dict(', 'cannot be read'),
    ('_base_ = "./none.py"', r'cannot be read.*none\.py'),
    ('a = 1', 'has no model'),
    ('custom_imports = dict(imports=["no_such_module"])',
     'cannot be read.*no_such_module'),
])
def test_broken_configs(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read_config(write(tmp_path, text))


def test_missing_config():
    with pytest.raises(ConfigError, match="config 'no.py' does not exist"):
        read_config('no.py')


def test_work_dir():
    for own, argument, expected in ((None, None, 'work_dirs/name'),
                                    ('own', None, 'own'), ('own', 'given',
                                                           'given')):
        cfg = Config(dict(work_dir=own))
        set_work_dir(cfg, 'configs/name.py', argument)
        assert cfg.work_dir == expected


@pytest.mark.parametrize('place', ['file', 'file/more'])
def test_a_work_dir_that_cannot_be_is_refused(tmp_path, place):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='no folder that you may write to'):
        set_work_dir(Config(), 'a.py', str(tmp_path / place))


def test_loaders_are_completed_but_not_overruled():
    cfg = Config(
        dict(
            train_dataloader=dict(num_workers=2),
            val_dataloader=dict(persistent_workers=False, num_workers=2),
            test_dataloader=None))
    set_loader_defaults(cfg)
    assert cfg.train_dataloader.persistent_workers
    assert cfg.train_dataloader.collate_fn.type == 'default_collate'
    assert not cfg.val_dataloader.persistent_workers
    assert cfg.test_dataloader is None


def test_a_model_that_cannot_be_built(project, work_dir):
    cfg = read_config(project.config, {
        'model.backbone.arch': 'x',
        'work_dir': work_dir
    })
    with pytest.raises(
            ConfigError,
            match="cannot be built: .*arch 'x' is not"
            ' in default archs: choose from t, tiny'):
        build_runner(cfg)


@pytest.mark.parametrize(('options', 'message'), [
    ({
        'train_dataloader.dataset.data_root': 'nowhere'
    }, r"train data set in 'nowhere' cannot be read \(.*nowhere/train.*"
     'train_dataloader.dataset.data_root=FOLDER'),
    ({
        'train_dataloader.dataset.pipeline.0.type': 'NoSuchTransform'
    }, 'train loop of the config cannot be built.*NoSuchTransform'),
])
def test_data_that_cannot_be_read(project, work_dir, options, message):
    runner = build_runner(
        read_config(project.config, {
            **options, 'work_dir': work_dir
        }))
    with pytest.raises(ConfigError, match=message):
        build_loop(runner, 'train')


def test_the_loader_of_a_phase(project):
    cfg = read_config(project.config, {'val_dataloader.collate_fn': None})
    del cfg.val_dataloader['collate_fn']
    loader = loader_config(cfg, 'val')
    assert loader.collate_fn.type == 'default_collate'
    assert loader.dataset.data_prefix == 'val'


@pytest.mark.parametrize(
    ('loaders', 'message'),
    [(dict(), 'no val_dataloader, only none at all'),
     (dict(train_dataloader=dict(),
           val_dataloader=None), 'no val_dataloader, only train_dataloader')])
def test_a_loader_that_is_not_there(loaders, message):
    with pytest.raises(ConfigError, match=message):
        loader_config(Config(loaders), 'val')


@pytest.mark.parametrize(
    'error', [FileNotFoundError('a/b'),
              RuntimeError('Found 0 files')])
def test_missing_data_is_named_with_the_remedy(error):
    cfg = Config(dict(val_dataloader=dict(dataset=dict(data_root='here'))))
    with pytest.raises(
            ConfigError,
            match=rf"val data set in 'here'.*{error}.*"
            'val_dataloader.dataset.data_root=FOLDER'):
        with data_errors(cfg, 'val'):
            raise error


@pytest.mark.parametrize(('data', 'said'), [
    (dict(type='CIFAR10', data_prefix='data/cifar10'),
     "in 'data/cifar10' is not there, nor to be had .*no route.*: put https://"
     r'\S+cifar-10-python.tar.gz there, or .*dataset.data_prefix=FOLDER'),
    (dict(type='CIFAR10', data_prefix='c', data_root='root'),
     "in 'root' is not there.*dataset.data_root=FOLDER"),
    (dict(type='CustomDataset', data_prefix='train'),
     "in 'train' cannot be read .*: put it there, .*data_prefix=FOLDER"),
    (dict(type='CustomDataset', data_prefix=dict(img_path='')),
     "in '' cannot be read .*: put it there, .*data_root=FOLDER"),
])
def test_data_that_cannot_be_downloaded_has_a_place(data, said):
    cfg = Config(dict(train_dataloader=dict(dataset=data)))
    with pytest.raises(ConfigError, match=said):
        with data_errors(cfg, 'train'):
            raise URLError('no route to host')


@pytest.mark.parametrize(('code', 'kind'), [
    (errno.ENOSPC, OSError),
    (errno.ENOENT, ConfigError),
    (errno.EACCES, ConfigError),
])
def test_a_full_disk_is_no_fault_of_the_config(monkeypatch, code, kind):

    def fails(cfg):
        raise OSError(code, os.strerror(code), 'work_dirs')

    monkeypatch.setattr(Runner, 'from_cfg', fails)
    with pytest.raises(kind, match=os.strerror(code)) as caught:
        build_runner(Config())
    assert isinstance(caught.value, ConfigError) is (kind is ConfigError)
