import re

import pytest
from torch import nn

from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.unread_settings import warn_of_unmatched_keys
from tests.helpers import CONFIGS, MINI

BASE = """
size = 32
train_pipeline = [dict(type='Resize', scale=size)]
mean = [1., 2., 3.]
helper = mean[::-1]
model = dict(type='ImageClassifier', data_preprocessor=dict(mean=mean))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
"""


@pytest.fixture
def warnings(tmp_path, capsys):
    """What is warned of when a child of the config above is read."""
    (tmp_path / 'base.py').write_text(BASE)

    def read(text, options=None):
        child = tmp_path / 'child.py'
        child.write_text(f"_base_ = 'base.py'\n{text}")
        return read_config(child, options), capsys.readouterr().err

    return read


@pytest.mark.parametrize(('text', 'warning'), [
    ("optimizer = dict(type='SGD')",
     "'optimizer', .* older versions, replaced by optim_wrapper.optimizer"),
    ('total_epochs = 9', "'total_epochs', .* train_cfg.max_epochs"),
    ('optim_wraper = dict(a=1)', "did you mean 'optim_wrapper'"),
    ('resumee = True', "did you mean 'resume'"),
    ("train_pipeline = [dict(type='Flip')]  # of train_pipeline",
     "'train_pipeline', and nothing reads it: no setting has its value"),
    ('size = 32', "'size', and nothing reads it"),
    ('auto_scale_lr = dict(base_batchsize=3)',
     "auto_scale_lr sets 'base_batchsize', .* mean 'base_batch_size'"),
    ('model = dict(train_cfg=dict(arguments=1))',
     "model.train_cfg sets 'arguments', and nothing reads it"),
    ('env_cfg = dict(mp_cfg=dict(start=1))', "env_cfg.mp_cfg sets 'start'"),
    ('data_preprocessor = dict(mean=[0.])', 'sets data_preprocessor twice'),
])
def test_what_nothing_reads_is_warned_of(warnings, text, warning):
    assert re.search(warning, warnings(text)[1])


@pytest.mark.parametrize('text', [
    '', 'train_pipeline = []\ntrain_dataloader = dict(dataset=dict('
    'pipeline=train_pipeline))', 'work_dir = {{_base_.size}}',
    'lr = 0.1\noptim_wrapper = dict(optimizer=dict(lr=2 * lr))',
    "tag = '#1'\nwork_dir = f'a#{tag}'", 'optimizer = None',
    'data_preprocessor = dict(mean=[1., 2., 3.])',
    'model = dict(train_cfg=dict(augments=[dict(a=1)]))'
])
def test_what_is_read_is_not(warnings, text):
    cfg, warned = warnings(text)
    assert not warned
    assert 'helper' not in cfg


def test_options_are_settings_like_others(warnings):
    warned = warnings('', {'train_pipeline.0.scale': 8, 'batchsize': 32})[1]
    assert re.search("'train_pipeline', and nothing reads it", warned)
    assert re.search("'batchsize', and nothing reads it", warned)


def test_keys_of_parameters_that_do_not_exist(capsys):
    keys = {'fc.weight': dict(lr_mult=2), 'stages.7': dict(lr_mult=3)}
    wrapper = dict(paramwise_cfg=dict(custom_keys=keys))
    model = nn.ModuleDict(dict(fc=nn.Linear(2, 2)))
    warn_of_unmatched_keys(dict(optim_wrapper=wrapper), model)
    warned = capsys.readouterr().err
    assert "'stages.7', which is in the name of no param" in warned
    assert 'fc.weight' not in warned
    warn_of_unmatched_keys({}, model)


def test_settings_of_a_parameter_that_do_not_exist(capsys):
    keys = dict(weight=dict(lr_mutl=2), bias=dict(decay_mult=0))
    wrapper = dict(paramwise_cfg=dict(custom_keys=keys))
    warn_of_unmatched_keys(dict(optim_wrapper=wrapper), nn.Linear(2, 2))
    warned, = capsys.readouterr().err.splitlines()
    assert "sets 'lr_mutl', and nothing reads it; did you mean 'lr_m" in warned


def test_a_recorded_config_has_nothing_unread(tmp_path, capsys):
    options = {'train_dataloader.dataset.pipeline.1.scale': 48}
    cfg = read_config(CONFIGS / MINI, options)
    cfg.dump(tmp_path / 'recorded.py')
    again = read_config(tmp_path / 'recorded.py')
    assert not capsys.readouterr().err
    # Readers of the host look for this name.
    assert again.test_pipeline == again.test_dataloader.dataset.pipeline
