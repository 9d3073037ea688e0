import errno
import os
import re
import sys
from unittest.mock import Mock

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmcls_repmlp.host import NAME
from mmcls_repmlp.jobs.shared.config import (RANKS, check_options, read_config,
                                             read_file, set_launcher,
                                             set_work_dir)
from mmcls_repmlp.jobs.shared.runner import build_runner
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
def test_files_that_are_no_config(tmp_path, name, message):
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


def test_a_work_dir_must_be_writable(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='not a folder that you may write to'):
        set_work_dir(Config(), 'a.py', str(tmp_path / 'file'))


@pytest.mark.parametrize(('error', 'kind'), [
    (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), 'work_dirs'), OSError),
    (OSError(errno.ENOENT, os.strerror(errno.ENOENT), 'a'), ConfigError),
    (KeyError('Foo is not in the registry'), ConfigError),
])
def test_a_full_disk_is_no_fault_of_the_config(monkeypatch, error, kind):
    monkeypatch.setattr(Runner, 'from_cfg', Mock(side_effect=error))
    with pytest.raises(kind, match='No space|No such file|^the config cannot'):
        build_runner(Config())


def test_mmengine_names_a_missing_package(project, work_dir, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)
    backends = [dict(type='TensorboardVisBackend')]
    cfg = read_config(
        project.config, {
            'visualizer': dict(type='Visualizer', vis_backends=backends),
            'work_dir': work_dir
        })
    with pytest.raises(ConfigError, match='run "pip install future tensor'):
        build_runner(cfg)


@pytest.mark.parametrize(('launcher', 'variables', 'message'), [
    ('pytorch', {}, 'started by torchrun .*, which sets RANK: start'),
    ('pytorch', dict(RANK='0'), 'cannot be joined: .*WORLD_SIZE expected'),
    ('slurm', {}, 'started by srun, which sets SLURM_PROCID'),
    ('slurm', dict(SLURM_PROCID='0'), 'needs GPUs'),
    ('mpi', dict(OMPI_COMM_WORLD_RANK='x'), 'which sets OMPI_COMM_WORLD_RANK'),
    ('x', {}, "'x' is unknown: choose from none, pytorch"),
])
def test_processes_that_the_launcher_did_not_start(monkeypatch, launcher,
                                                   variables, message):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    for name in (*RANKS.values(), 'WORLD_SIZE'):
        monkeypatch.delenv(name, raising=False)
    threads = dict.fromkeys(['OMP_NUM_THREADS', 'MKL_NUM_THREADS'], '1')
    for name, value in (threads | variables).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message):
        set_launcher(Config(), launcher)


def test_parts_of_the_host_are_replaced_before_a_config_is_dumped(tmp_path):
    path = tmp_path / 'own.py'
    path.write_text("model = dict()\ntrain_dataloader = dict(dataset=dict("
                    "type='CustomDataset', pipeline=[dict("
                    "type='LoadImageFromFile')]))")
    text = read_config(path).pretty_text
    for ours in ('ImageFolder', 'LoadImageStrict', 'AtomicCheckpointHook',
                 'ReproducibleSeedHook'):
        assert f"type='{ours}'" in text


GOOD = "model = dict(type='ImageClassifier')\n"


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16'])
@pytest.mark.parametrize('name', ['b.py', 'b.json'])
def test_byte_order_marks_are_named(tmp_path, encoding, name):
    (tmp_path / name).write_text(GOOD if 'py' in name else '{}', encoding)
    (tmp_path / 'a.py').write_text(f"_base_ = './{name}'")
    for path in (name, 'a.py'):
        with pytest.raises(ConfigError, match=f"{name}' begins with a byte"):
            read_file(tmp_path / path)


@pytest.mark.parametrize(('message', 'texts'), [
    ('includes itself .*: a.py -> a.py', ["_base_ = './a.py'"]),
    ('includes itself through _base_: b.py -> c.py -> b.py',
     ["_base_ = './b.py'", "_base_ = ['./c.py']", "_base_ = './b.py'"]),
    ("_base_ of '.*b.py' names '.*none.py', which is no file",
     ["_base_ = './b.py'", "_base_ = './none.py'"]),
    (r'never closed \(b.py, line 2\)',
     [f"_base_ = './b.py'\n{GOOD}", 'x = 1\ny = (3\n']),
    (r"a.py', line 2\): .*division by zero", [GOOD + 'x = 1 / 0']),
    (r"b.py', line 2\): .*'nothing' is not defined",
     ["_base_ = './b.py'", GOOD + 'x = nothing']),
    (r"a.py', line 2\): SystemExit: 3", [GOOD + 'raise SystemExit(3)']),
    ('RuntimeError', [GOOD + 'raise RuntimeError']),
    ('cannot be read.*no_such_module',
     [GOOD + 'custom_imports = dict(imports=["no_such_module"])']),
    ("'none'", ["_base_ = './b.py'\nx = {{_base_.none}}", GOOD]),
    ("a.py'", ['\x00\x01']),
    ("a.py'", ['_base_ = 3']),
])
def test_the_file_at_fault_is_named(tmp_path, message, texts):
    for name, text in zip('abc', texts):
        (tmp_path / f'{name}.py').write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_file(tmp_path / 'a.py')


@pytest.mark.parametrize(('name', 'content', 'message'), [
    ('a.json', b'{"model": {', "a.json' cannot be parsed: .*line 1"),
    ('a.txt', b'', 'should be py, json, yaml or yml'),
    ('a.py', b'\x80\x81\xff', "a.py' cannot be parsed"),
])
def test_files_that_cannot_be_parsed(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_file(tmp_path / name)


def test_memory_is_no_fault_of_a_config(tmp_path):
    (tmp_path / 'a.py').write_text('raise MemoryError')
    with pytest.raises(MemoryError):
        read_file(tmp_path / 'a.py')


CONFIG = Config(
    dict(pipeline=[dict(type='A', scale=2),
                   dict(type='B')], load_from=None))
CONFIG.merge_from_dict({
    'model.type': 'ImageClassifier',
    'model.backbone.arch.a': 1,
    'train_cfg.max_epochs': 3,
    'val_dataloader.batch_size': 2
})


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [('model.type.x', 1, "model.type is 'ImageClassifier', which has no x"),
     ('load_from.x', 1, 'load_from is None, which has no x'),
     ('pipeline.2.scale', 1, 'pipeline is a list, .* from 0 to 1'),
     ('pipeline.x', 1, 'pipeline is a list'),
     ('model', 'resnet', "'model' to 'resnet' would replace .* model.type"),
     ('pipeline.0', 3, 'would replace all settings'), ('', 1, 'empty key'),
     ('model.', 1, 'empty key'), ('a..b', 1, 'empty')])
def test_what_has_no_place(key, value, message):
    with pytest.raises(ConfigError, match=message):
        check_options(CONFIG, {key: value})


@pytest.mark.parametrize(
    ('key', 'said'),
    [('train_cfgg.max_epochs', "has no 'train_cfgg'.* mean 'train_cfg'"),
     ('load_fom', "did you mean 'load_from'"),
     ('test_dataloder.batch_size', "did you mean 'test_dataloader'"),
     ('batchsize', "the config has no 'batchsize', and nothing reads it"),
     ('train_cfg.max_epoch', "train_cfg has no 'max_epoch'; did you mean 'ma"),
     ('pipeline.0.scal', "pipeline.0 has no 'scal'; did you mean 'scale'")])
def test_unlikely_keys_are_doubted(capsys, key, said):
    check_options(CONFIG, {key: 1})
    assert re.search(said, capsys.readouterr().err)


@pytest.mark.parametrize(('key', 'value'), [
    ('train_cfg.max_epochs', 5),
    ('work_dir', 'x'),
    ('resume', True),
    ('val_dataloader', None),
    ('model.backbone.arch', 'tiny'),
    ('pipeline.1.prob', 0.5),
    ('model.head.num_classes', 3),
    ('tta_model.type', 'x'),
    ('train_cfg', dict(by_epoch=True)),
])
def test_likely_ones_are_not(capsys, key, value):
    check_options(CONFIG, {key: value})
    assert not capsys.readouterr().err
