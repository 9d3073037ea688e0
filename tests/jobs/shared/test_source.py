import shutil

import pytest

from mmcls_repmlp.checkpoints import read_checkpoint, write_checkpoint
from mmcls_repmlp.jobs.export.export import export_checkpoint
from mmcls_repmlp.jobs.reparameterize_model import reparameterize_checkpoint
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.source import (config_beside, open_source,
                                             write_config_beside)
from mmcls_repmlp.jobs.testing.test import test as run_test
from repmlp_lite.errors import CheckpointError, ConfigError, UserError
from tests.helpers import code_making, load_model


@pytest.fixture
def folder(project, tmp_path):
    """A copy of the work folder of a training run."""
    shutil.copytree(project.work_dir, tmp_path / 'work')
    return tmp_path / 'work'


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


def test_the_config_of_its_own_stem_goes_first(folder):
    own = write_config_beside(
        read_config(folder / 'quick.py'), folder / 'deploy.pth')
    assert config_beside(folder / 'deploy.pth') == own
    write_checkpoint(dict(a=1), folder / 'deploy.pth')
    # Beside the others, it is not one that training left.
    assert config_beside(folder / 'epoch_2.pth') == folder / 'quick.py'


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


def test_settings_are_changed_as_in_a_file(folder):
    options = {'test_dataloader.batch_size': 3}
    source = open_source(None, folder, cfg_options=options)
    assert source.cfg.test_dataloader.batch_size == 3


def test_the_form_of_the_checkpoint_if_asked_for(project):
    for config in (project.config, project.deploy_config):
        for checkpoint in (project.trained, project.merged):
            model = open_source(config,
                                checkpoint).load_model(either_form=True)
            assert model.backbone.deploy is (checkpoint == project.merged)
            assert model.class_names and not model.training
    with pytest.raises(UserError, match='is already converted'):
        load_model(project.config, project.merged)
    with pytest.raises(UserError, match='training form'):
        load_model(project.deploy_config, project.trained)


def test_devices_that_are_not_there(project):
    source = open_source(project.config, project.trained)
    for device in ('toaster', 'cuda:77'):
        with pytest.raises(UserError, match=f"'{device}' cannot be used"):
            source.load_model(device)


@pytest.mark.parametrize('job', [
    lambda source, out: run_test(None, source, work_dir=out),
    lambda source, out: export_checkpoint(None, source, f'{out}.onnx'),
    lambda source, out: reparameterize_checkpoint(None, source, f'{out}.pth'),
])
def test_a_checkpoint_is_read_once(project, tmp_path, monkeypatch, job):
    import torch
    opened, load = [], torch.load

    def count(path, **kwargs):
        opened.append(str(path))
        return load(path, **kwargs)

    monkeypatch.setattr(torch, 'load', count)
    job(project.trained, tmp_path / 'a')
    assert opened.count(str(project.trained)) == 1


def test_a_test_leaves_the_config_of_the_training_alone(project, folder):
    before = (folder / 'quick.py').read_bytes()
    run_test(folder / 'quick.py', folder / 'epoch_2.pth', tta=True)
    run_test(None, folder, tta=True)
    with pytest.raises(UserError):
        run_test(None, folder, cfg_options={'model.head.num_classes': 3})
    assert (folder / 'quick.py').read_bytes() == before
    assert [path.name for path in folder.glob('*.py')] == ['quick.py']
