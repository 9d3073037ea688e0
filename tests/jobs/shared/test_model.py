import sys

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope, Registry
from torch import nn

from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.model import build_model, build_on_meta
from repmlp_lite.errors import ConfigError
from tests.helpers import (assert_same, classifier_cfg, load_model, randn,
                           shapes)


def test_both_forms_are_loaded_and_equal(project):
    trained = load_model(project.config, project.trained)
    merged = load_model(project.deploy_config, project.merged)
    assert trained.data_preprocessor.mean.flatten().tolist() == [78.] * 3
    x = randn(2, 3, 32, 32).float()
    assert_same(merged(x), trained(x), 2e-5)


def test_a_model_without_memory_has_the_same_shapes(project):
    cfg = read_config(project.config)
    built, full = build_on_meta(cfg), build_model(cfg)
    assert {p.device.type for p in built.parameters()} == {'meta'}
    assert shapes(built) == shapes(full)
    assert not built.training
    cfg.model.train_cfg = dict(augments=dict(type='Mixup', alpha=0.2))
    assert build_on_meta(cfg).data_preprocessor.batch_augments is None
    assert 'augments' in cfg.model.train_cfg


@pytest.fixture
def scope():
    """Name a scope, which is gone afterwards."""
    with DefaultScope.overwrite_default_scope('mmcls'):
        yield 'no_package'
    MODELS.children.pop('no_package', None)


def test_a_scope_may_have_no_package(scope):
    registry = Registry('model', parent=MODELS, scope=scope)
    registry.register_module(module=nn.Identity)
    cfg = Config(dict(default_scope=scope, model=dict(type='Identity')))
    assert type(build_model(cfg)) is nn.Identity


@pytest.mark.parametrize(('missing', 'package'),
                         [('mmseg', 'mmsegmentation'),
                          ('no_package', 'no_package')])
def test_a_package_that_is_not_installed_is_named(scope, monkeypatch, missing,
                                                  package):
    monkeypatch.setitem(sys.modules, f'{missing}.registry', None)
    monkeypatch.delitem(MODELS.children, missing, raising=False)
    # mmcls would build this.
    cfg = Config(dict(default_scope=missing, model=classifier_cfg()))
    said = (
        rf"is for {package} \(default_scope '{missing}'\), which cannot be "
        rf'imported \(.*\): run pip install {package}$')
    with pytest.raises(ConfigError, match=said):
        build_model(cfg)
