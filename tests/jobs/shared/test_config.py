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
                                             set_launcher)
from mmcls_repmlp.jobs.shared.runner import build_runner
from repmlp_lite.errors import ConfigError, UserError
from tests.helpers import MINI, write_config

GOOD = "model = dict(type='ImageClassifier')\n"


def test_a_config_is_changed_and_completed_as_it_is_read(tmp_path):
    path = tmp_path / 'a.py'
    path.write_text("model = dict(a=dict(b=1))\ntrain_dataloader = dict("
                    "dataset=dict(type='CustomDataset', pipeline=[dict("
                    "type='LoadImageFromFile')]))")
    cfg = read_config(path, {'model.a.b': 2})
    assert cfg.model.a.b == 2 and cfg.default_scope == NAME
    for ours in ('ImageFolder', 'LoadImageStrict', 'AtomicCheckpointHook',
                 'ReproducibleSeedHook'):
        assert f"type='{ours}'" in cfg.pretty_text


@pytest.mark.parametrize(('message', 'texts'), [
    ("config '.*a.py' does not exist", []),
    ('has no model', ['a = 1']),
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
    ('cannot be read.*no_such_module',
     [GOOD + 'custom_imports = dict(imports=["no_such_module"])']),
    ("'none'", ["_base_ = './b.py'\nx = {{_base_.none}}", GOOD]),
    ("a.py' cannot be parsed", ['\x00\x01']),
    (r"b.py' cannot be parsed: .*U\+FEFF", ["_base_ = './b.py'", '\ufeff']),
])
def test_the_file_at_fault_is_named(tmp_path, message, texts):
    for name, text in zip('abc', texts):
        (tmp_path / f'{name}.py').write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_config(tmp_path / 'a.py')


@pytest.mark.parametrize(('name', 'message'),
                         [('a.json', "a.json' cannot be parsed: .*line 1"),
                          ('a.txt', 'should be py, json, yaml or yml')])
def test_other_files_that_cannot_be_parsed(tmp_path, name, message):
    (tmp_path / name).write_text('{"model": {')
    with pytest.raises(ConfigError, match=message):
        read_config(tmp_path / name)


def test_memory_is_no_fault_of_a_config(tmp_path):
    (tmp_path / 'a.py').write_text('raise MemoryError')
    with pytest.raises(MemoryError):
        read_config(tmp_path / 'a.py')


TEXT = ("load_from = None\npipeline = [dict(type='A', scale=2)]\n"
        "model = dict(type='ImageClassifier', backbone=dict(arch=dict(a=1)))\n"
        'train_cfg = dict(max_epochs=3)\nval_dataloader = dict(batch_size=2)')


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [('model.type.x', 1,
      'model.type.x cannot be set in config .* of type .*str'),
     ('load_from.x', 1, 'load_from.x cannot be set .*NoneType'),
     ('pipeline.2.scale', 1, 'cannot be set .*exceeds the length'),
     ('model', 'resnet', "'model' to 'resnet' would replace .* model.type"),
     ('pipeline.0', 3, 'would replace all settings'), ('', 1, 'empty key'),
     ('model.', 1, 'empty key')])
def test_settings_that_have_no_place(tmp_path, key, value, message):
    (tmp_path / 'a.py').write_text(TEXT)
    with pytest.raises(ConfigError, match=message):
        read_config(tmp_path / 'a.py', {key: value})


@pytest.mark.parametrize(
    ('key', 'value', 'warning'),
    [('train_cfg.max_epoch', 1, "train_cfg has no 'max_epoch'; .* mean 'max"),
     ('pipeline.0.scal', 1, "pipeline.0 has no 'scal'; did you mean 'scale'"),
     ('train_cfg.max_epochs', 5, None), ('work_dir', 'x', None),
     ('val_dataloader', None, None), ('model.backbone.arch', 'tiny', None),
     ('pipeline.0.prob', 0.5, None), ('tta_model.type', 'x', None),
     ('train_cfg', dict(by_epoch=True), None)])
def test_unlikely_keys_are_warned_of(capsys, key, value, warning):
    check_options(Config.fromstring(TEXT, '.py'), {key: value})
    warned = capsys.readouterr().err
    assert re.search(warning, warned) if warning else not warned


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
    visualizer = dict(type='Visualizer', vis_backends=backends)
    cfg = read_config(project.config,
                      dict(visualizer=visualizer, work_dir=work_dir))
    with pytest.raises(ConfigError, match='run "pip install future tensor'):
        build_runner(cfg)


@pytest.mark.parametrize(('launcher', 'variables', 'message'), [
    ('pytorch', {}, 'started by torchrun .*, which sets RANK: start'),
    ('pytorch', dict(RANK='0'), 'cannot be joined: .*WORLD_SIZE expected'),
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


def test_home_in_paths_of_a_config(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', '/home/me')
    data = dict(dataset=dict(data_root='~/photos'))
    path = write_config(
        tmp_path / 'a.py', MINI, work_dir='~/runs', train_dataloader=data)
    cfg = read_config(path, dict(load_from='~/a.pth'))
    assert (cfg.work_dir, cfg.load_from,
            cfg.train_dataloader.dataset.data_root) == ('/home/me/runs',
                                                        '/home/me/a.pth',
                                                        '/home/me/photos')


@pytest.mark.parametrize('unused', [False, True])
def test_processes_on_cpus_know_of_unused_parameters(monkeypatch, unused):
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    monkeypatch.setattr('torch.distributed.is_initialized', lambda: True)
    cfg = Config(dict(find_unused_parameters=unused))
    set_launcher(cfg, 'pytorch')
    assert cfg.model_wrapper_cfg.find_unused_parameters is unused
