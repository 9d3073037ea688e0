import copy

import pytest
import torch
from mmcv.cnn import ConvModule
from torch import nn

from mmcls_repmlp.models import RepMLPNetUnit
from mmcls_repmlp.models.repmlpnet.repmlp_block import GlobalPerceptron
from mmcls_repmlp.models.repmlpnet.repmlpnet import PatchEmbed
from mmcls_repmlp.reparam.fused_layers import (FusedConv, FusedNorm, FusedUnit,
                                               fused)
from tests.helpers import assert_same, randn, random_model

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
def test_computes_what_it_takes_the_place_of(kind, build):
    module, x = random_model(build), randn(2, 8, 16, 16)
    expected = module(x)
    with torch.no_grad():
        replacement = fused(copy.deepcopy(module))
        assert type(replacement) is kind
        assert_same(replacement(x), expected, 1e-11)
        assert_same(replacement(x), expected, 1e-11)  # nothing was overwritten
    assert not any(p.requires_grad for p in replacement.parameters())


def other(kind):
    """The same class with a forward of its own."""
    return type('Other', (kind, ), dict(forward=lambda self, x: x))


@pytest.mark.parametrize('build', [
    lambda: nn.Conv2d(8, 6, 3),
    lambda: ConvModule(8, 6, 3),
    lambda: ConvModule(8, 6, 3, norm_cfg=dict(type='IN')),
    lambda: conv(order=('norm', 'conv', 'act')),
    lambda: conv(padding_mode='reflect', padding=1),
    lambda: conv(conv_cfg=dict(type='ConvWS')),
    lambda: PatchEmbed(8, 6),
    lambda: embedding(other(PatchEmbed)),
    lambda: nn.BatchNorm2d(8, track_running_stats=False),
    lambda: nn.GroupNorm(2, 8),
    lambda: unit('ffn_block', act=nn.ReLU()),
    lambda: unit('repmlp_block', gp=other(GlobalPerceptron)(8)),
    lambda: unit(norm2=nn.InstanceNorm2d(8)),
    lambda: unit(norm2=nn.BatchNorm2d(8, track_running_stats=False)),
])
def test_what_is_computed_otherwise_is_left(build):
    assert fused(build()) is None
