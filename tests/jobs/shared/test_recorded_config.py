from contextlib import suppress

import pytest
import torch
from mmengine.config import Config

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.jobs.export.export import export_checkpoint
from mmcls_repmlp.jobs.reparameterize_model import reparameterize_checkpoint
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.recorded_config import (config_for,
                                                      recorded_config)
from mmcls_repmlp.jobs.test.confusion_matrix import confusion_matrix
from mmcls_repmlp.jobs.test.test import test as run_test
from repmlp_lite.errors import CheckpointError, ConfigError
from tests.helpers import CONFIGS, code_making

MODEL = ("model = dict(type='ImageClassifier', backbone=dict("
         "type='RepMLPNet', arch='T'{}))\n")


def having(value):
    return MODEL.format(f', x={value}')


def followed(line):
    return f"{MODEL.format('')}{line}"


def loading(option):
    return followed("test_dataloader = dict(dataset=dict(type='CustomDataset',"
                    f" pipeline=[dict(type='LoadImageFromFile', {option})]))")


def read(text):
    return recorded_config(dict(cfg=text), 'a.pth')


def test_the_trainings_own_config_is_read_again(project):
    cfg, checkpoint, name, content = config_for(None, project.trained)
    named = read_config(project.config)
    assert checkpoint == name == project.trained
    cfg.test_dataloader.pop('pin_memory')  # training has completed it
    for key in ('model', 'data_preprocessor', 'test_dataloader',
                'test_evaluator', 'default_scope'):
        assert cfg[key] == named[key], key
    assert cfg.work_dir == str(project.work_dir)
    assert content['meta'] and config_for(project.config, name).content is None
    assert not {'default_hooks', 'custom_hooks', 'load_from'} & {*cfg}


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.py')), ids=str)
def test_what_every_config_would_record_is_read(path):
    settings = Config.fromfile(path).to_dict()
    text = ''.join(f'{key} = {value!r}\n' for key, value in settings.items())
    assert read(text).model.to_dict() == settings['model']


def test_what_is_written_goes_elsewhere_where_the_folder_is_closed(
        project, monkeypatch):
    monkeypatch.setattr('os.access', lambda path, mode: False)
    assert 'work_dir' not in config_for(None, project.trained).cfg


def test_a_work_dir_stands_for_its_newest_checkpoint(project, tmp_path):
    for config in (None, project.config):
        found = config_for(config, project.work_dir)
        assert found.checkpoint == project.trained
    with pytest.raises(CheckpointError, match=r'holds no epoch_N\.pth'):
        config_for(None, tmp_path)


def test_settings_are_changed_as_in_a_file(project):
    options = {'test_dataloader.batch_size': 3}
    cfg = config_for(None, project.trained, options).cfg
    assert cfg.test_dataloader.batch_size == 3


def test_every_kind_of_value_is_read_as_it_was_written():
    values = [-1e-3, True, None, (1, ), {'a b': [8], 3: 2}, 'it\'s "é"\n\\']
    backbone = dict(type='RepMLPNet', arch=values)
    model = dict(type='ImageClassifier', backbone=backbone)
    assert read(Config(dict(model=model)).pretty_text).model.to_dict() == model


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('import os', 'sets no single name'),
        ('a = b = 1', 'sets no single name'),
        ('model[0] = 1', 'sets no single name'),
        (followed('x = __import__("os")'), 'malformed'),
        (followed('x = [a for a in (1, )]'), 'malformed'),
        (having('open("/etc/passwd")'), 'malformed'),
        ('model = dict(', 'was never closed'),
        ('(' * 500 + ')' * 500, 'nested'),
        ('model = 1', 'its backbone is none of this package'),
        ("model = dict(backbone=dict(type='ResNet'))", 'its backbone is none'),
        ("model = dict(backbone=dict(type=['RepMLPNet']))", 'its backbone is'),
        (having("dict(type='os.system')"), "it names 'os.system'"),
        (having("[dict(type='subprocess.Popen', args='true')]"),
         "it names 'subprocess.Popen', which is no part of such a classifier"),
        (having("dict(type='CheckpointHook')"), 'CheckpointHook'),
        (having("dict(type='TimmClassifier')"), 'TimmClassifier'),
        (having('dict(type=1)'), 'it names 1'),
        (having('{[1]: 2}'), 'unhashable'),
        # Would load a file of any kind, or write one.
        (having("dict(type='TIMMBackbone')"), 'TIMMBackbone'),
        (followed("val_evaluator = dict(type='DumpResults')"),
         "'DumpResults'"),
        # Would import what is spelled.
        (followed("default_scope = 'antigravity'"), "'antigravity'"),
        (having("[dict(_scope_='antigravity')]"), "'antigravity'"),
        (loading(
            "file_client_args=dict(backend='memcached', sys_path='/tmp')"),
         "reads files by {'backend': 'memcached', 'sys_path': '/tmp'}"),
        (loading("backend_args=dict(backend='petrel')"), "'petrel'"),
        (loading("ann_file='http://127.0.0.1/a.txt'"),
         "its data are at 'http://127.0.0.1/a.txt', not on the disk"),
        (loading("data_root='s3://photos'"), "its data are at 's3://photos'"),
        # Would take all memory or time.
        (followed('val_dataloader = dict(num_workers=10000)'),
         'it loads data by 10000 processes'),
        (followed('test_dataloader = dict(dataset=dict(times=1000000000))'),
         'its data ask for 1,000,000,000, which is more than 16,384'),
        (loading('scale=(16, 1e9)'), 'its data ask for 1,000,000,000.0'),
        (followed('data_preprocessor = dict(pad_size_divisor=16385)'),
         'its data ask for 16,385'),
        (followed('data_preprocessor = dict(num_classes=1000001)'),
         'its data ask for 1,000,001, which is more than 1,000,000'),
        ('x = 1\n' * 200_000, 'longer than 1,000,000 characters'),
    ])
def test_what_is_not_plain_data_of_ours_is_refused(text, reason):
    with pytest.raises(ConfigError, match='name a config before it$') as error:
        read(text)
    assert reason in str(error.value)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize('option', [
    'file_client_args=None', "backend_args=dict(backend='local')",
    "file_client_args=dict(backend='disk')", "data_root='a:b//c'",
    'scale=16384', f'seed={2**40}', 'num_classes=21843'
])
def test_data_on_the_disk_are_read(option):
    dataset = read(loading(option)).test_dataloader.dataset
    assert dataset.type == 'CustomDataset'


def test_a_checkpoint_without_a_config_says_so():
    for meta in ({}, dict(cfg=None), dict(cfg=b'x = 1')):
        with pytest.raises(ConfigError, match="'a.pth' carries no config"):
            recorded_config(meta, 'a.pth')


def test_no_line_of_it_runs(project, tmp_path, marker):
    content, path = read_checkpoint(project.trained), tmp_path / 'hostile.pth'
    text = content['meta']['cfg']
    for line in (code_making(marker), f'x = {code_making(marker)}',
                 f'custom_imports = dict(imports=["{tmp_path.name}"])'):
        content['meta']['cfg'] = text + line
        torch.save(content, path)
        with suppress(ConfigError):
            config_for(None, path)


@pytest.mark.parametrize('job', [
    lambda source, out: run_test(None, source, work_dir=out),
    lambda source, out: confusion_matrix(None, source, report=str),
    lambda source, out: export_checkpoint(
        None, source, f'{out}.pt', report=str),
    lambda source, out: reparameterize_checkpoint(
        None, source, f'{out}.pth', report=str),
])
def test_a_checkpoint_is_read_once(project, tmp_path, monkeypatch, job):
    opened, load = [], torch.load

    def count(path, **kwargs):
        opened.append(str(path))
        return load(path, **kwargs)

    monkeypatch.setattr(torch, 'load', count)
    job(project.trained, tmp_path / 'a')
    assert opened.count(str(project.trained)) == 1
