import copy

import numpy as np
import pytest
import torch
from mmcls.models import build_classifier
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmcls_repmlp import RepMLPResNet, fuse_for_inference, reparameterize
from mmcls_repmlp.deploy.exported.export_model import export_model
from mmcls_repmlp.deploy.exported.export_wrapper import Served
from mmcls_repmlp.deploy.exported.load_exported import load_artefact
from mmcls_repmlp.deploy.fused_backbone import FusedBackbone
from tests.helpers import TINY_RESNET_CFG, assert_same, randn, random_model

KINDS = ('base', 'light', 'bottleneck')


def net(**cfg):
    return random_model(RepMLPResNet, **{**TINY_RESNET_CFG, **cfg})


def classifier(**cfg):
    return random_model(lambda: build_classifier(
        dict(
            type='ImageClassifier',
            backbone=dict(type='RepMLPResNet', **{
                **TINY_RESNET_CFG,
                **cfg
            }),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=5, in_channels=64))))


@pytest.mark.parametrize('block', KINDS)
def test_training_deploy_and_served_form_are_equal(block):
    model = classifier(block=block)
    merged = reparameterize(model)
    assert merged.backbone.deploy and not model.backbone.deploy
    x = randn(3, 3, 64, 64)
    expected = model(x)
    assert_same(merged(x), expected, 1e-10)
    for source in (model, merged):
        fused = fuse_for_inference(source)
        assert not [m for m in fused.modules() if isinstance(m, _BatchNorm)]
        with torch.no_grad():
            assert_same(fused(x), expected, 1e-10)


@pytest.mark.parametrize(
    'cfg', [{}, dict(out_indices=(0, 1, 2)),
            dict(img_size=(40, 56))])
def test_backbone_gives_the_same_maps(cfg):
    model = net(**cfg)
    x = randn(2, 3, *model.img_size)
    fused = fuse_for_inference(model)
    assert type(fused) is FusedBackbone
    assert_same(fused(x), model(x), 1e-10)


@pytest.mark.parametrize(('dtype', 'rtol'), [(torch.float32, 1e-4),
                                             (torch.bfloat16, 0.2)])
def test_keeps_the_dtype(dtype, rtol):
    model, x = classifier(), randn(2, 3, 64, 64)
    expected = model(x)
    fused = fuse_for_inference(model.to(dtype))
    assert {p.dtype for p in fused.parameters()} == {dtype}
    assert_same(fused(x.to(dtype)).double(), expected, rtol)


def test_the_model_it_is_made_of_is_left_as_it_is():
    model = classifier().train()
    before = copy.deepcopy(model.state_dict())
    fused = fuse_for_inference(model)
    assert all(m.training for m in model.modules())
    assert not any(m.training for m in fused.modules())
    assert not any(p.requires_grad for p in fused.parameters())
    assert_same([*model.state_dict().values()], [*before.values()], 0)


def test_what_cannot_be_folded_is_refused():
    model = net()
    model.stage1[0].conv2.bn = nn.GroupNorm(1, 4)
    with pytest.raises(ValueError, match='GroupNorm'):
        fuse_for_inference(model)


@pytest.mark.parametrize(('suffix', 'block'), [('.onnx', 'light'),
                                               ('.pt', 'bottleneck')])
def test_exported_file_computes_the_same_on_any_batch(tmp_path, suffix, block):
    served = Served(fuse_for_inference(classifier(block=block)).float())
    path = tmp_path / f'model{suffix}'
    assert export_model(served, path, (3, 64, 64)) < 1e-3
    images = torch.rand(3, 3, 64, 64) * 2 - 1
    expected = served(images).numpy()
    np.testing.assert_allclose(
        load_artefact(path, exact=True)(images.numpy()),
        expected,
        atol=1e-3 * np.abs(expected).max())
