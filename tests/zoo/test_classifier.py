import pytest
import torch
from torch import nn

from mmcls_repmlp import create_model, fuse_for_inference
from mmcls_repmlp.host import build_classifier
from tests.helpers import TINY, assert_same, randn, randomize


@pytest.fixture
def model():
    return randomize(
        create_model('repmlpnet_t', num_classes=3, img_size=32,
                     arch=TINY)).double().eval()


def test_it_computes_what_the_hosts_classifier_does(model):
    twin = build_classifier(model.cfg.model).double().eval()
    twin.load_state_dict(model.state_dict())  # strictly
    images = randn(2, 3, 32, 32)
    assert_same(model(images), twin(images, mode='tensor'), 0)


def test_the_steps_of_a_forward_pass(model):
    images = randn(2, 3, 32, 32)
    features = model.forward_features(images)
    assert features.shape == (2, 32, 2, 2)
    pooled = model.forward_head(features, pre_logits=True)
    assert_same(pooled, features.mean((2, 3)), 1e-12)
    logits = model.forward_head(features)
    assert_same(logits, model(images), 0)
    assert_same(logits, model.get_classifier()(pooled), 0)
    assert model.num_features == pooled.shape[1]
    assert [info['num_chs'] for info in model.feature_info] == [8, 16, 32]


@pytest.mark.parametrize('count', [0, 1, 7])
def test_a_classifier_is_replaced(model, count):
    backbone = [*model.backbone.state_dict().values()]
    model.reset_classifier(count)
    assert model(randn(2, 3, 32, 32)).shape == (2, count or 32)
    assert model.num_classes == count
    assert_same([*model.backbone.state_dict().values()], backbone, 0)
    layer = model.get_classifier()
    if not count:
        assert isinstance(layer, nn.Identity)
    else:
        assert layer.weight.shape == (count, 32)
        assert layer.weight.dtype == torch.float64 and layer.weight.any()


def test_it_is_merged_in_place(model):
    images = randn(2, 3, 32, 32)
    before = model(images)
    assert not model.deploy
    model.switch_to_deploy()
    assert model.deploy
    assert_same(model(images), before, 1e-12)


def test_the_pixels_that_it_takes(model):
    assert model.default_cfg == dict(
        input_size=(3, 32, 32),
        num_classes=3,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225))


@pytest.mark.parametrize('name', ['repmlpnet_t', 'repmlp_faceresnet'])
def test_it_is_fused(name, model):
    if name != 'repmlpnet_t':
        model = create_model(name, num_classes=3, depth=(1, 1, 1, 1))
        model = randomize(model).double().eval()
    images = randn(2, *model.default_cfg['input_size'])
    fused = fuse_for_inference(model)
    expected = model(images)
    if name != 'repmlpnet_t':  # of a margin head, the unit vectors
        expected = nn.functional.normalize(
            model.forward_head(model.forward_features(images), True))
    assert_same(fused(images), expected, 1e-9)
