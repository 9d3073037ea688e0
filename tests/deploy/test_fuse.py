import copy

import pytest
import torch
from mmcls.models import build_backbone, build_classifier
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import prune

from mmcls_repmlp import RepMLPNet, fuse_for_inference
from mmcls_repmlp.models.repmlpnet.layers import GlobalPerceptron
from tests.helpers import (TINY_CFG, TINY_RESNET_CFG, assert_same, randn,
                           random_model)


def net(**cfg):
    return random_model(RepMLPNet, **{**TINY_CFG, **cfg})


def classifier(**cfg):
    return random_model(lambda: build_classifier(
        dict(
            type='ImageClassifier',
            backbone=dict(type='RepMLPNet', **{
                **TINY_CFG,
                **cfg
            }),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=5, in_channels=32))))


@pytest.mark.parametrize('deploy', [False, True])
@pytest.mark.parametrize(
    'cfg', [{}, dict(final_norm=False),
            dict(out_indices=(1, 2))])
def test_classifier_gives_the_same_logits(deploy, cfg):
    model = classifier(**cfg)
    if deploy:
        model.backbone.switch_to_deploy()
    fused = fuse_for_inference(model)
    for size in ((32, 32), (64, 32)):
        x = randn(2, 3, *size)
        expected = model(x)
        if len(model.backbone.out_indices) > 1:
            expected = model.head.fc(model.neck(model.backbone(x))[-1])
        assert_same(fused(x), expected, 1e-10)


@pytest.mark.parametrize('norm_cfg', [dict(type='BN1d'), None])
@pytest.mark.parametrize('backbone', [
    dict(type='RepMLPNet', **TINY_CFG),
    dict(type='RepMLPResNet', **TINY_RESNET_CFG)
])
def test_metric_learning_gives_the_same_unit_vectors(backbone, norm_cfg):
    built = build_backbone(backbone)
    channels, size = built.channels[-1], built.img_size
    model = random_model(lambda: build_classifier(
        dict(
            type='ImageClassifier',
            backbone=backbone,
            neck=[
                dict(type='GlobalAveragePooling'),
                dict(
                    type='LinearReduction',
                    in_channels=channels,
                    out_channels=6,
                    norm_cfg=norm_cfg)
            ],
            head=dict(type='AMSoftmaxClsHead', num_classes=3, in_channels=6))))
    x = randn(3, 3, *size)
    fused = fuse_for_inference(model)
    expected = [sample.embedding for sample in model.predict(x)]
    assert_same(fused(x), torch.stack(expected), 1e-10)


def test_necks_that_do_more_are_refused():
    model = build_classifier(
        dict(
            type='ImageClassifier',
            backbone=dict(type='RepMLPNet', **TINY_CFG),
            neck=[
                dict(type='GlobalAveragePooling'),
                dict(
                    type='LinearReduction',
                    in_channels=32,
                    out_channels=6,
                    act_cfg=dict(type='ReLU'))
            ],
            head=dict(type='AMSoftmaxClsHead', num_classes=3, in_channels=6)))
    with pytest.raises(TypeError, match='ImageClassifier cannot be fused'):
        fuse_for_inference(model)


def test_no_norm_is_left():
    assert not [
        m for m in fuse_for_inference(classifier()).modules()
        if isinstance(m, _BatchNorm)
    ]


@pytest.mark.parametrize(('dtype', 'rtol'), [(torch.float32, 2e-5),
                                             (torch.bfloat16, 5e-2)])
def test_keeps_the_dtype_and_rounds_once(dtype, rtol):
    model = classifier()
    x = randn(2, 3, 32, 32)
    model.to(dtype)
    expected = copy.deepcopy(model).double()(x.to(dtype).double())
    fused = fuse_for_inference(model)
    assert {p.dtype for p in fused.parameters()} == {dtype}
    assert_same(fused(x.to(dtype)).double(), expected, rtol)


def test_the_model_it_is_made_of_is_left_as_it_is():
    model = classifier().train()
    before = copy.deepcopy(model.state_dict())
    fuse_for_inference(model)
    assert all(m.training for m in model.modules())
    assert_same([*model.state_dict().values()], [*before.values()], 0)
    assert not model.backbone.deploy


def test_is_for_inference_only():
    fused = fuse_for_inference(net())
    assert not fused.training
    assert not any(p.requires_grad for p in fused.parameters())
    assert fused.eval() is fused
    with pytest.raises(RuntimeError, match='for inference only'):
        fused.train()


def test_other_models_are_refused():
    with pytest.raises(TypeError, match='Linear cannot be fused'):
        fuse_for_inference(nn.Linear(2, 2))


def test_is_compiled_and_exported():
    fused = fuse_for_inference(classifier()).float()
    x = randn(2, 3, 32, 32).float()
    batch = torch.export.Dim('batch', min=1, max=64)
    program = torch.export.export(fused, (x, ), dynamic_shapes=({0: batch}, ))
    for n in (1, 2, 5):
        x = randn(n, 3, 32, 32, seed=n).float()
        assert_same(program.module()(x), fused(x), 2e-5)


class OtherGate(GlobalPerceptron):

    def forward(self, x):
        return 2 * super().forward(x)


class OtherLinear(nn.Linear):

    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize(('change', 'message'), [
    (lambda m: m.backbone.stages[1].register_forward_hook(lambda *_: None),
     r'^backbone\.stages\.1 cannot be merged: it has hooks'),
    (lambda m: prune.l1_unstructured(m.head.fc, 'weight', 0.5),
     r'^head\.fc .*prune\.remove'),
    (lambda m: nn.utils.parametrizations.weight_norm(
        m.backbone.patch_embed.projection), 'remove_parametrizations'),
    (lambda m: setattr(m.backbone.stages[0][0].ffn_block, 'act', nn.ReLU()),
     'ffn_block.act is a ReLU, .*only GELU can'),
    (lambda m: setattr(m.backbone.patch_embed, 'act', nn.GELU()),
     'patch_embed.act is a GELU, .*only ReLU can'),
    (lambda m: setattr(m.backbone.downsample_layers[0], 'activate', nn.GELU()),
     'activate is a GELU, .*only ReLU can'),
    (lambda m: setattr(m.backbone.stages[0][0].repmlp_block, 'gp',
                       OtherGate(8).double()), 'gp is a OtherGate'),
    (lambda m: setattr(m.head, 'fc',
                       OtherLinear(32, 5).double()),
     'OtherLinear does not apply its weight'),
    (lambda m: setattr(m.backbone.stages[0][0].ffn_block.ffn_fc1, 'order',
                       ('norm', 'conv', 'act')), 'ffn_fc1 is no ConvModule'),
])
def test_what_would_be_lost_is_refused(change, message):
    model = classifier()
    change(model)
    names = [*model.state_dict()]
    with pytest.raises(ValueError, match=message):
        fuse_for_inference(model)
    assert [*model.state_dict()] == names


def test_built_in_inference_mode_it_runs_outside():
    model, x = classifier(), randn(2, 3, 32, 32)
    with torch.inference_mode():
        fused = fuse_for_inference(model)
    out = fused(x.clone().requires_grad_())
    out.sum().backward()
    assert_same(out.detach(), model(x).detach(), 1e-10)
