from unittest.mock import Mock

import pytest
import torch
from torch import nn

from mmcls_repmlp.host import MODELS
from mmcls_repmlp.jobs.vis_cam.activation_map import (activation_map,
                                                      check_method, find_layer,
                                                      spread_over)
from repmlp_lite.command_line.choices import CAM_METHODS
from repmlp_lite.errors import UserError
from tests.helpers import (TINY_CFG, TINY_CIFAR_CFG, TINY_RESNET_CFG,
                           assert_same, classifier_cfg, randn, randomize)

CLASSES, LABELS = 5, [3, 0]
BACKBONES = dict(
    RepMLPNet=(TINY_CFG, 32),
    RepMLPResNet=(TINY_RESNET_CFG, 64),
    RepMLPCifarNet=(TINY_CIFAR_CFG, 8))
every_backbone = pytest.mark.parametrize('name', BACKBONES)


def classifier(name='RepMLPNet', **cfg):
    tiny, channels = BACKBONES[name]
    torch.manual_seed(0)
    backbone = dict(tiny, type=name, **cfg)
    model = MODELS.build(classifier_cfg(backbone, CLASSES, channels))
    nn.init.normal_(model.head.fc.weight)
    return randomize(model).double().eval()


def images(model):
    return randn(2, 3, *model.backbone.img_size)


def layers(model):
    return [f'backbone.{i["module"]}' for i in model.backbone.feature_info]


@every_backbone
def test_maps_are_what_the_papers_say(name):
    model = classifier(name)
    x = images(model)
    for layer in layers(model):
        kept = []
        handle = model.get_submodule(layer).register_forward_hook(
            lambda *args, kept=kept: kept.append(args[-1]))
        score = model(x)[range(2), LABELS].sum()
        handle.remove()
        (out, ), (gradient, ) = kept, torch.autograd.grad(score, kept)
        weights = gradient.mean((2, 3), keepdim=True)
        grad_cam = (weights * out).sum(1).relu()
        layer_cam = (gradient.relu() * out).sum(1).relu()
        assert grad_cam.any() and layer_cam.any()
        for method, cam in (('gradcam', grad_cam), ('layercam', layer_cam)):
            assert_same(activation_map(model, x, LABELS, layer, method), cam)


@every_backbone
@pytest.mark.parametrize('method', CAM_METHODS)
def test_both_forms_have_the_same_maps_of_each_image_alone(name, method):
    model = classifier(name)
    x = images(model)
    expected = [
        activation_map(model, x, LABELS, layer, method)
        for layer in layers(model)
    ]
    model.backbone.switch_to_deploy()
    for layer, found in zip(layers(model), expected):
        assert found.dtype == torch.double and found.any()
        alone = [
            activation_map(model, x[i:i + 1], [label], layer, method)
            for i, label in enumerate(LABELS)
        ]
        assert_same(torch.cat(alone), found, 1e-9)


def test_nothing_of_the_model_changes_and_frozen_weights_have_maps_too():
    model, free = classifier(frozen_stages=1), classifier()
    x = images(model)
    wanted = {key: p.requires_grad for key, p in model.named_parameters()}
    assert {*wanted.values()} == {True, False}
    with pytest.raises(UserError):
        activation_map(model, x, LABELS, 'head.fc')
    for layer in layers(model):
        expected = activation_map(free, x, LABELS, layer)
        assert_same(activation_map(model, x, LABELS, layer), expected, 0)
    for key, parameter in model.named_parameters():
        assert parameter.requires_grad is wanted[key]
        assert parameter.grad is None
    for module in model.modules():
        assert not module._forward_hooks and not module._forward_pre_hooks
    assert not model.training and not x.requires_grad


@pytest.mark.parametrize(('backbone', 'layer'), [
    (dict(), 'final_norm'),
    (dict(out_indices=(0, 1)), 'stages.1'),
    (dict(out_indices=(1, ),
          out_after_downsample=True), 'downsample_layers.1'),
    (dict(name='RepMLPResNet'), 'stage3'),
    (dict(name='RepMLPCifarNet'), 'stages.1'),
])
def test_the_layer_is_by_default_what_the_head_takes(backbone, layer):
    model = classifier(**backbone)
    for name in (None, layer, f'backbone.{layer}'):
        assert find_layer(model, name) == f'backbone.{layer}'


def test_backbones_of_others_need_a_name():
    other = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8)
    model = MODELS.build(classifier_cfg(other, CLASSES, 64)).double().eval()
    with pytest.raises(UserError, match='name it with option `layer='):
        find_layer(model)
    layer = find_layer(model, 'layer3')
    found = activation_map(model, randn(2, 3, 64, 64), LABELS, layer)
    assert found.shape == (2, 4, 4)
    with pytest.raises(UserError, match="no module 'xyz'"):
        find_layer(model, 'xyz')


@pytest.mark.parametrize(('name', 'message'), [
    ('backbone.stage.0', "no module 'backbone.stage.0'.*backbone.stages.0"),
    ('xyz', 'such as backbone.stages.0 or backbone.stages.1'),
    ('', 'no mod'),
    ('head.fc', 'head.fc gives something of shape 2x5, which shows no'),
    ('backbone', 'backbone gives no tensor'),
    ('backbone.stages', 'backbone.stages is not called'),
    ('stages.0.0.repmlp_block.gp', 'shape 2x8x1x1'),
    ('stages.1.0.repmlp_block.repconv3', 'shape 8x4x4x4'),
])
def test_what_gives_no_map_is_refused(name, message):
    model = classifier()
    with pytest.raises(UserError, match=message):
        activation_map(model, images(model), LABELS, find_layer(model, name))


def test_what_the_scores_do_not_depend_on_is_refused():
    model = classifier(out_indices=(1, ))
    model.head.fc = nn.Linear(16, CLASSES).double()
    with pytest.raises(UserError, match='scores do not depend on what'):
        activation_map(model, images(model), LABELS, 'backbone.stages.2')


def test_lack_of_memory_is_no_fault_of_the_layer(monkeypatch):
    model = classifier()
    full = torch.OutOfMemoryError('CUDA out of memory')
    monkeypatch.setattr(torch.autograd, 'grad', Mock(side_effect=full))
    with pytest.raises(RuntimeError):
        activation_map(model, images(model), LABELS, layers(model)[0])


def test_maps_are_spread_over_the_whole_image():
    maps = torch.zeros(2, 2, 2)
    maps[0, 1, 0] = 7.
    found = spread_over(classifier(), maps, (8, 8))
    assert found.shape == (2, 8, 8) and not found[1].any()
    assert (found[0, 6:, :2] == 1).all() and not found[0, :2].any()
    assert_same(found[0, :, 0], found[0, 7].flip(0), 1e-6)


def test_what_was_added_to_an_image_is_left_out():
    # 40x24 is padded to 64x32: a map of 16x8, of which 10x6 is the image.
    model = classifier(pad_to_multiple=True)
    maps = randn(1, 16, 8).abs()
    maps[:, 10:] = maps[:, :, 6:] = 99.
    found = spread_over(model, maps, (40, 24))
    whole = nn.functional.interpolate(
        maps[:, None], scale_factor=4, mode='bilinear')[:, 0, :40, :24]
    assert_same(found, whole / whole.max())
    x = randn(1, 3, 40, 24)
    assert activation_map(model, x, [0], layers(model)[0]).shape == (1, 16, 8)


def test_what_is_missing_is_said(monkeypatch):
    check_method('layercam')
    with pytest.raises(UserError, match='from gradcam, layercam, score'):
        check_method('gradcam++')
    monkeypatch.setattr('mmcls_repmlp.jobs.vis_cam.activation_map.find_spec',
                        lambda name: None)
    with pytest.raises(UserError, match=r'pip install "mmcls_repmlp\[cam\]"'):
        check_method('gradcam')
