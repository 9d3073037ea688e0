import copy

import pytest
import torch
from mmcv.cnn import ConvModule
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmcls_repmlp import (RepMLPCifarNet, RepMLPNet, RepMLPResNet,
                          fuse_for_inference)
from mmcls_repmlp.host import build_classifier
from mmcls_repmlp.models import RepMLPNetUnit
from mmcls_repmlp.models.repmlpnet.repmlp_block import GlobalPerceptron
from mmcls_repmlp.models.repmlpnet.repmlpnet import PatchEmbed
from mmcls_repmlp.reparam.fuse import (FusedConv, FusedNorm, FusedUnit,
                                       fuse_module)
from tests.helpers import (TINY_CFG, TINY_CIFAR_CFG, TINY_RESNET_CFG,
                           assert_same, classifier_cfg, randn, random_model)

NETS = {
    RepMLPNet: TINY_CFG,
    RepMLPResNet: TINY_RESNET_CFG,
    RepMLPCifarNet: TINY_CIFAR_CFG
}
X = randn(2, 3, 32, 32)


def has_norms(model):
    return any(isinstance(m, _BatchNorm) for m in model.modules())


def classifier(channels=32, **cfg):
    backbone = dict(TINY_CFG, type='RepMLPNet', **cfg)
    return random_model(
        lambda: build_classifier(classifier_cfg(backbone, 5, channels)))


def metric_learner(kind=RepMLPNet, channels=32, **reduction):
    pooling = dict(type='GlobalAveragePooling')
    reduction.update(
        type='LinearReduction', in_channels=channels, out_channels=6)
    head = dict(type='AMSoftmaxClsHead', num_classes=3, in_channels=6)
    backbone = dict(NETS[kind], type=kind.__name__)
    cfg = classifier_cfg(backbone) | dict(neck=[pooling, reduction], head=head)
    return random_model(lambda: build_classifier(cfg))


@pytest.mark.parametrize('deploy', [False, True])
@pytest.mark.parametrize(('kind', 'cfg'), [
    (RepMLPNet, {}),
    (RepMLPNet, dict(final_norm=False)),
    (RepMLPNet, dict(img_size=(32, 16), out_indices=(0, 1, 2))),
    (RepMLPNet, dict(out_indices=(0, 1, 2), out_after_downsample=True)),
    (RepMLPNet, dict(patch_cfg=dict(kernel_size=7, padding=3))),
    (RepMLPNet, dict(patch_cfg=dict(norm_cfg=None))),
    (RepMLPNet, dict(reparam_conv_kernels=None)),
    (RepMLPNet, dict(conv_cfg=dict(type='Conv2dAdaptivePadding'))),
    (RepMLPResNet, dict(img_size=(40, 56), out_indices=(0, 1, 2))),
    (RepMLPResNet, dict(block='bottleneck')),
    (RepMLPResNet, dict(block='base')),
    (RepMLPCifarNet, {}),
])
def test_backbone_gives_the_same_maps(deploy, kind, cfg):
    model = random_model(kind, **{**NETS[kind], **cfg})
    if deploy:
        model.switch_to_deploy()
    fused = fuse_for_inference(model)
    assert not has_norms(fused)
    x = randn(3, 3, *model.img_size)
    assert_same(fused(x), model(x), 1e-10)


@pytest.mark.parametrize('deploy', [False, True])
@pytest.mark.parametrize(('channels', 'cfg'), [(32, {}),
                                               (32, dict(final_norm=False)),
                                               (32, dict(out_indices=(1, 2))),
                                               (16, dict(out_indices=1))])
def test_classifier_gives_the_same_logits(deploy, channels, cfg):
    model = classifier(channels, **cfg)
    if deploy:
        model.backbone.switch_to_deploy()
    fused = fuse_for_inference(model)
    assert not has_norms(fused)
    for x in (X, randn(2, 3, 64, 32)):
        pooled = model.neck(model.backbone(x))[-1]
        assert_same(fused(x), model.head.fc(pooled), 1e-10)


@pytest.mark.parametrize('norm_cfg', [dict(type='BN1d'), None])
@pytest.mark.parametrize(('kind', 'channels'), [(RepMLPNet, 32),
                                                (RepMLPResNet, 64)])
def test_metric_learning_gives_the_same_unit_vectors(kind, channels, norm_cfg):
    model = metric_learner(kind, channels, norm_cfg=norm_cfg)
    x = randn(3, 3, *model.backbone.img_size)
    expected = [sample.embedding for sample in model.predict(x)]
    assert_same(fuse_for_inference(model)(x), torch.stack(expected), 1e-10)


@pytest.mark.parametrize(('build', 'name'), [
    (lambda: nn.Linear(2, 2), 'Linear'),
    (lambda: metric_learner(act_cfg=dict(type='ReLU')), 'ImageClassifier'),
])
def test_other_models_are_refused(build, name):
    with pytest.raises(
            TypeError, match=f'^{name}.* cannot be fused: expected'):
        fuse_for_inference(build())


@pytest.mark.parametrize(('dtype', 'rtol'), [(torch.float32, 2e-5),
                                             (torch.bfloat16, 5e-2)])
def test_keeps_the_dtype_and_rounds_once(dtype, rtol):
    model, x = classifier().to(dtype), X.to(dtype)
    expected = copy.deepcopy(model).double()(x.double())
    fused = fuse_for_inference(model)
    assert {p.dtype for p in fused.parameters()} == {dtype}
    assert_same(fused(x).double(), expected, rtol)


def test_is_for_inference_only_and_leaves_its_model_as_it_is():
    model = classifier().train()
    before = copy.deepcopy(model.state_dict())
    fused = fuse_for_inference(model)
    assert all(m.training for m in model.modules())
    assert_same([*model.state_dict().values()], [*before.values()], 0)
    assert not model.backbone.deploy
    assert not fused.training
    assert not any(p.requires_grad for p in fused.parameters())
    assert fused.eval() is fused
    with pytest.raises(RuntimeError, match='for inference only'):
        fused.train()


def test_a_final_norm_of_another_kind_is_kept():
    model = classifier()
    model.backbone.final_norm = nn.GroupNorm(4, 32).double()
    expected = model.head.fc(model.backbone(X)[-1].mean((2, 3)))
    assert_same(fuse_for_inference(model)(X), expected, 1e-10)


@pytest.mark.parametrize(('change', 'message'), [
    (lambda m: m.backbone.stages[1].register_forward_hook(lambda *_: None),
     r'^backbone\.stages\.1 cannot be merged: it has hooks'),
    (lambda m: setattr(m.head, 'fc', nn.Bilinear(32, 32, 5)),
     'Bilinear does not apply its weight'),
])
def test_blockers_are_named(change, message):
    model = classifier()
    change(model)
    names = [*model.state_dict()]
    with pytest.raises(ValueError, match=message):
        fuse_for_inference(model)
    assert [*model.state_dict()] == names


def test_built_in_inference_mode_it_runs_outside():
    model = classifier()
    with torch.inference_mode():
        fused = fuse_for_inference(model)
    out = fused(X.clone().requires_grad_())
    out.sum().backward()
    assert_same(out.detach(), model(X).detach(), 1e-10)


# ----------------------------------------------------------------- fuse_module

NORM = dict(norm_cfg=dict(type='BN'))


def unit(part='', **changed):
    """A merged unit, perhaps with other modules in one of its parts."""
    sizes = dict(channels=8, path_h=4, path_w=4, num_sharesets=4)
    model = RepMLPNetUnit(**sizes, reparam_conv_kernels=(1, 3))
    model.repmlp_block.switch_to_deploy()
    for name, module in changed.items():
        setattr(model.get_submodule(part), name, module)
    return model


def conv(**cfg):
    return ConvModule(8, 6, 3, **NORM, **cfg)


def embedding(kind=PatchEmbed):
    return kind(8, 6, kernel_size=3, stride=3, padding='corner', **NORM)


@pytest.mark.parametrize(('kind', 'build'), [
    (FusedUnit, unit),
    (FusedConv, conv),
    (FusedConv, lambda: conv(act_cfg=None)),
    (FusedConv, lambda: conv(act_cfg=dict(type='LeakyReLU'))),
    (FusedConv, embedding),
    (FusedNorm, lambda: nn.BatchNorm2d(8)),
])
def test_computes_the_same_as_the_module_it_replaces(kind, build):
    module, x = random_model(build), randn(2, 8, 16, 16)
    expected = module(x)
    with torch.no_grad():
        replacement = fuse_module(copy.deepcopy(module))
        assert type(replacement) is kind
        assert_same(replacement(x), expected, 1e-11)
        assert_same(replacement(x), expected, 1e-11)  # nothing was overwritten
    assert not any(p.requires_grad for p in replacement.parameters())


def other(kind):
    """The same class with a forward of its own."""
    return type('Other', (kind, ), dict(forward=lambda self, x: x))


@pytest.mark.parametrize('build', [
    lambda: ConvModule(8, 6, 3),
    lambda: ConvModule(8, 6, 3, norm_cfg=dict(type='IN')),
    lambda: conv(order=('norm', 'conv', 'act')),
    lambda: conv(padding_mode='reflect', padding=1),
    lambda: conv(conv_cfg=dict(type='ConvWS')),
    lambda: PatchEmbed(8, 6),
    lambda: embedding(other(PatchEmbed)),
    lambda: nn.BatchNorm2d(8, track_running_stats=False),
    lambda: unit('ffn_block', act=nn.ReLU()),
    lambda: unit('repmlp_block', gp=other(GlobalPerceptron)(8)),
    lambda: unit(norm2=nn.BatchNorm2d(8, track_running_stats=False)),
])
def test_modules_with_other_computations_are_kept(build):
    assert fuse_module(build()) is None
