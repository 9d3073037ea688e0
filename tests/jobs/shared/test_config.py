import errno
import os
import sys
from unittest.mock import Mock

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmcls_repmlp.host import NAME
from mmcls_repmlp.jobs.shared.config import (RANKS, read_config, set_launcher,
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
