from unittest.mock import Mock

import pytest
import torch

from mmcls_repmlp.checkpoints import read_checkpoint, write_checkpoint
from mmcls_repmlp.jobs.publish_model import publish_model
from mmcls_repmlp.jobs.reparameterize_model import reparameterize_checkpoint
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.source import open_source
from mmcls_repmlp.jobs.testing.test import test as run_test
from mmcls_repmlp.jobs.train.train import train
from repmlp_lite.errors import CheckpointError, ConfigError, UserError
from tests.helpers import assert_same, code_making


def test_the_config_that_training_left_is_used(project, folder, capsys):
    source = open_source(None, folder)
    assert source.checkpoint == folder / project.trained.name
    assert capsys.readouterr().err == f'config {folder / "quick.py"}\n'
    named = read_config(project.config)
    for key in ('model', 'data_preprocessor', 'default_scope'):
        assert source.cfg[key] == named[key]
    assert source.cfg.work_dir == str(folder)
    assert source.class_names == tuple('0123456789')
    assert open_source(project.config, folder).config == project.config


def test_the_config_within_a_checkpoint_is_not_used(project, tmp_path, marker):
    content = read_checkpoint(project.trained)
    content['meta']['cfg'] = code_making(marker)
    write_checkpoint(content, tmp_path / 'a.pth')
    open_source(project.config, tmp_path / 'a.pth').load_model()
    with pytest.raises(ConfigError, match='no config is named'):
        open_source(None, tmp_path / 'a.pth')


def test_a_closed_folder_is_no_work_folder(folder, monkeypatch):
    monkeypatch.setattr('os.access', lambda path, mode: False)
    assert open_source(None, folder).cfg.work_dir != str(folder)


def test_the_form_of_the_checkpoint_if_asked_for(project):
    for config in (project.config, project.deploy_config):
        for checkpoint in (project.trained, project.merged):
            model = open_source(config,
                                checkpoint).load_model(either_form=True)
            assert model.backbone.deploy is (checkpoint == project.merged)
            assert model.class_names and not model.training


def test_devices_that_are_not_there(project):
    source = open_source(project.config, project.trained)
    for device in ('toaster', 'cuda:77'):
        with pytest.raises(UserError, match=f"'{device}' cannot be used"):
            source.load_model(device)


@pytest.mark.parametrize('job', [
    lambda source, out: run_test(None, source, work_dir=out),
    lambda source, out: reparameterize_checkpoint(None, source, f'{out}.pth'),
])
def test_a_checkpoint_is_read_once(project, tmp_path, monkeypatch, job):
    load = Mock(wraps=torch.load)
    monkeypatch.setattr(torch, 'load', load)
    job(project.trained, tmp_path / 'a')
    opened = [str(call.args[0]) for call in load.call_args_list]
    assert opened.count(str(project.trained)) == 1


def test_the_key_chooses_and_nothing_else_does(project, tmp_path):
    # The trained weights as averaged ones, beside others, as timm saves.
    both, content = tmp_path / 'both.pth', read_checkpoint(project.trained)
    content['ema'] = content['state_dict']
    content['state_dict'] = {k: v * 0 for k, v in content['ema'].items()}
    write_checkpoint(content, both)
    found = open_source(project.config, both, 'ema').weights
    published = publish_model(both, tmp_path / 'a.pth', key='ema')
    for weights in (found, read_checkpoint(published)['state_dict']):
        assert_same([*weights.values()], [*content['ema'].values()], 0)
    with pytest.raises(CheckpointError, match='several sets of weights'):
        open_source(project.config, both)
    with pytest.raises(CheckpointError, match='publish_model.py --key'):
        train(project.config, str(tmp_path), cfg_options=dict(load_from=both))
