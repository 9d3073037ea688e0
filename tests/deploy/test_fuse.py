import copy

import numpy as np
import pytest
import torch
from mmcv.cnn import ConvModule
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import prune

from mmcls_repmlp import (RepMLPCifarNet, RepMLPNet, RepMLPResNet,
                          fuse_for_inference)
from mmcls_repmlp.deploy.exported.export_model import export_model
from mmcls_repmlp.deploy.exported.export_wrapper import ExportWrapper
from mmcls_repmlp.deploy.exported.load_exported import load_exported
from mmcls_repmlp.host import build_backbone, build_classifier
from mmcls_repmlp.models.backbone import MergeableBackbone
from mmcls_repmlp.models.repmlp.conv_bn import ConvBN
from mmcls_repmlp.models.repmlpnet.layers import GlobalPerceptron
from mmcls_repmlp.models.stage import Stage
from tests.helpers import (TINY_CFG, TINY_CIFAR_CFG, TINY_RESNET_CFG,
                           assert_same, classifier_cfg, randn, random_model)

TINY = dict(
    RepMLPNet=TINY_CFG,
    RepMLPResNet=TINY_RESNET_CFG,
    RepMLPCifarNet=TINY_CIFAR_CFG)


def norms(model):
    return [m for m in model.modules() if isinstance(m, _BatchNorm)]


def net(kind=RepMLPNet, **cfg):
    return random_model(kind, **{**TINY[kind.__name__], **cfg})


def classifier(kind=RepMLPNet, **cfg):
    backbone = dict(TINY[kind.__name__], type=kind.__name__, **cfg)
    built = build_backbone(backbone)
    channels = built.channels[built.out_indices[-1]]
    return random_model(
        lambda: build_classifier(classifier_cfg(backbone, 5, channels)))


@pytest.mark.parametrize('deploy', [False, True])
@pytest.mark.parametrize(('kind', 'cfg'), [
    (RepMLPNet, {}),
    (RepMLPNet, dict(final_norm=False)),
    (RepMLPNet, dict(img_size=(32, 16))),
    (RepMLPNet, dict(out_indices=(0, 1, 2))),
    (RepMLPNet, dict(out_indices=(0, 1, 2), out_after_downsample=True)),
    (RepMLPNet, dict(patch_cfg=dict(kernel_size=7, padding=3))),
    (RepMLPNet, dict(patch_cfg=dict(norm_cfg=None))),
    (RepMLPNet, dict(reparam_conv_kernels=None)),
    (RepMLPNet, dict(img_size=38)),
    (RepMLPNet, dict(conv_cfg=dict(type='Conv2dAdaptivePadding'))),
    (RepMLPResNet, {}),
    (RepMLPResNet, dict(out_indices=(0, 1, 2))),
    (RepMLPResNet, dict(img_size=(40, 56))),
    (RepMLPResNet, dict(block='bottleneck')),
    (RepMLPResNet, dict(block='base')),
    (RepMLPCifarNet, {}),
])
def test_backbone_gives_the_same_maps(deploy, kind, cfg):
    model = net(kind, **cfg)
    if deploy:
        model.switch_to_deploy()
    fused = fuse_for_inference(model)
    assert not norms(fused)
    x = randn(3, 3, *model.img_size)
    assert_same(fused(x), model(x), 1e-10)


@pytest.mark.parametrize('deploy', [False, True])
@pytest.mark.parametrize('cfg', [{},
                                 dict(final_norm=False),
                                 dict(out_indices=(1, 2)),
                                 dict(out_indices=1)])
def test_classifier_gives_the_same_logits(deploy, cfg):
    model = classifier(**cfg)
    if deploy:
        model.backbone.switch_to_deploy()
    fused = fuse_for_inference(model)
    assert not norms(fused)
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


def first_unit(model):
    return model.backbone.stages[0][0]


def replace_norm(model, kind):
    first_unit(model).norm2 = kind(8).double()


@pytest.mark.parametrize('change', [
    lambda m: setattr(first_unit(m).ffn_block, 'act', nn.ReLU()),
    lambda m: setattr(m.backbone.patch_embed, 'act', nn.GELU()),
    lambda m: setattr(m.backbone.downsample_layers[0], 'activate', nn.GELU()),
    lambda m: setattr(first_unit(m).repmlp_block, 'gp',
                      OtherGate(8).double()),
    lambda m: replace_norm(m, nn.InstanceNorm2d),
    lambda m: replace_norm(
        m, lambda c: nn.BatchNorm2d(c, track_running_stats=False)),
    lambda m: setattr(m.backbone, 'final_norm',
                      nn.GroupNorm(1, 32).double()),
])
def test_what_no_fused_layer_computes_stays_as_it_is(change):
    model, x = classifier(), randn(2, 3, 32, 32)
    before = model(x)
    change(model)
    expected = model(x)
    assert not torch.allclose(expected, before)
    assert_same(fuse_for_inference(model)(x), expected, 1e-10)


class Guest(MergeableBackbone):
    """A backbone that nothing in this package knows."""

    stem_name = 'root'

    def __init__(self):
        super().__init__()
        self.img_size, self.channels, self.out_indices = (8, 8), (4, 4), (1, )
        self.root = ConvModule(3, 4, 3, norm_cfg=dict(type='BN'))
        self.stages = nn.ModuleList(
            Stage(ConvBN(4, 4), nn.BatchNorm2d(4)) for _ in range(2))
        self.freeze()

    @property
    def parts(self):
        return {'root': -1, 'stages.0': 0, 'stages.1': 1}


def test_a_new_backbone_is_fused_without_a_line_of_its_own():
    model, x = random_model(Guest), randn(2, 3, 8, 8)
    fused = fuse_for_inference(model)
    assert norms(model) and not norms(fused)
    assert_same(fused(x), model(x), 1e-10)


@pytest.mark.parametrize(('change', 'message'), [
    (lambda m: m.backbone.stages[1].register_forward_hook(lambda *_: None),
     r'^backbone\.stages\.1 cannot be merged: it has hooks'),
    (lambda m: prune.l1_unstructured(m.head.fc, 'weight', 0.5),
     r'^head\.fc .*prune\.remove'),
    (lambda m: nn.utils.parametrizations.weight_norm(
        m.backbone.patch_embed.projection), 'remove_parametrizations'),
    (lambda m: setattr(m.head, 'fc',
                       OtherLinear(32, 5).double()),
     'OtherLinear does not apply its weight'),
    (lambda m: setattr(
        first_unit(m).repmlp_block, 'fc3_bn',
        nn.GroupNorm(1, 4).double()), 'fc3 is normalised by GroupNorm'),
])
def test_what_would_be_lost_is_refused(change, message):
    model = classifier()
    change(model)
    names = [*model.state_dict()]
    with pytest.raises(ValueError, match=message):
        fuse_for_inference(model)
    assert [*model.state_dict()] == names


def test_exported_file_computes_the_same_on_any_batch(tmp_path):
    fused = fuse_for_inference(
        classifier(RepMLPResNet, depth=(1, 2), repmlp_stages=1, out_indices=1))
    wrapper = ExportWrapper(fused.float())
    path = tmp_path / 'model.onnx'
    assert export_model(wrapper, path, (3, 64, 64)) < 1e-3
    images = torch.rand(3, 3, 64, 64) * 2 - 1
    expected = wrapper(images).numpy()
    np.testing.assert_allclose(
        load_exported(path, exact=True)(images.numpy()),
        expected,
        atol=1e-3 * np.abs(expected).max())


def test_built_in_inference_mode_it_runs_outside():
    model, x = classifier(), randn(2, 3, 32, 32)
    with torch.inference_mode():
        fused = fuse_for_inference(model)
    out = fused(x.clone().requires_grad_())
    out.sum().backward()
    assert_same(out.detach(), model(x).detach(), 1e-10)
