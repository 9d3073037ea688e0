import pytest

from mmcls_repmlp.apis._shared.config import read_config
from mmcls_repmlp.apis._shared.model import (build_model, build_on_meta,
                                             fill_model, load_model)
from mmcls_repmlp.errors import UserError
from tests.helpers import assert_same, randn


def test_both_forms_are_loaded_and_equal(project):
    trained = load_model(project.config, project.trained)
    merged = load_model(project.deploy_config, project.merged)
    assert merged.backbone.deploy and not merged.training
    assert trained.data_preprocessor.mean.flatten().tolist() == [78.] * 3
    x = randn(2, 3, 32, 32).float()
    assert_same(merged(x), trained(x), 2e-5)


def test_what_does_not_fit_is_refused(project):
    with pytest.raises(UserError, match='training form'):
        load_model(project.deploy_config, project.trained)


def test_the_form_of_the_checkpoint_if_asked_for(project):
    for config in (project.config, project.deploy_config):
        for checkpoint, deploy in ((project.trained, False), (project.merged,
                                                              True)):
            model, content = fill_model(
                read_config(config), checkpoint, either_form=True)
            assert model.backbone.deploy is deploy and not model.training
            assert content['meta']['dataset_meta']
    with pytest.raises(UserError, match='is already converted'):
        fill_model(read_config(project.config), project.merged)


@pytest.mark.parametrize('device', ['toaster', 'cuda:77'])
def test_devices_that_are_not_there(project, device):
    with pytest.raises(UserError, match=f"device '{device}' cannot be used"):
        fill_model(read_config(project.config), project.trained, device)


def test_a_model_without_memory_has_the_same_shapes(project):
    cfg = read_config(project.config)
    built, full = build_on_meta(cfg), build_model(cfg)
    assert {p.device.type for p in built.parameters()} == {'meta'}
    assert [(k, v.shape) for k, v in built.state_dict().items()
            ] == [(k, v.shape) for k, v in full.state_dict().items()]
    assert not built.training
    cfg.model.train_cfg = dict(augments=dict(type='Mixup', alpha=0.2))
    assert build_on_meta(cfg).data_preprocessor.batch_augments is None
    assert 'augments' in cfg.model.train_cfg
