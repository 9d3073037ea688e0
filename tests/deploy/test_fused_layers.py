import copy

import pytest
import torch
from mmcv.cnn import ConvModule
from torch import nn

from mmcls_repmlp.deploy.fused_layers import (FusedConv, FusedNorm, FusedUnit,
                                              fused)
from mmcls_repmlp.models import RepMLPNetUnit
from mmcls_repmlp.models.repmlpnet.layers import PatchEmbed
from tests.helpers import assert_same, randn, random_model

NORM = dict(norm_cfg=dict(type='BN'))


def unit():
    model = random_model(
        RepMLPNetUnit,
        channels=8,
        path_h=4,
        path_w=4,
        num_sharesets=4,
        reparam_conv_kernels=(1, 3))
    model.repmlp_block.switch_to_deploy()
    return model


CASES = {
    'unit': (FusedUnit, unit),
    'conv': (FusedConv, lambda: ConvModule(8, 6, 3, **NORM)),
    'conv, no activation': (FusedConv,
                            lambda: ConvModule(8, 6, 3, act_cfg=None, **NORM)),
    'conv, leaky': (
        FusedConv,
        lambda: ConvModule(8, 6, 3, act_cfg=dict(type='LeakyReLU'), **NORM)),
    'embedding': (FusedConv, lambda: PatchEmbed(
        8, 6, kernel_size=3, stride=3, padding='corner', **NORM)),
    'norm': (FusedNorm, lambda: nn.BatchNorm2d(8)),
}


@pytest.mark.parametrize(('kind', 'build'), CASES.values(), ids=CASES)
def test_computes_what_it_takes_the_place_of(kind, build):
    module, x = random_model(build), randn(2, 8, 16, 16)
    expected = module(x)
    with torch.no_grad():
        replacement = fused(copy.deepcopy(module))
        assert type(replacement) is kind
        assert_same(replacement(x), expected, 1e-11)
        assert_same(replacement(x), expected, 1e-11)  # nothing was overwritten
    assert not any(p.requires_grad for p in replacement.parameters())


class Doubling(PatchEmbed):

    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize('build', [
    lambda: nn.Conv2d(8, 6, 3),
    lambda: ConvModule(8, 6, 3),
    lambda: ConvModule(8, 6, 3, order=('norm', 'conv', 'act'), **NORM),
    lambda: ConvModule(8, 6, 3, padding_mode='reflect', padding=1, **NORM),
    lambda: ConvModule(8, 6, 3, norm_cfg=dict(type='IN')),
    lambda: ConvModule(8, 6, 3, conv_cfg=dict(type='ConvWS'), **NORM),
    lambda: PatchEmbed(8, 6),
    lambda: Doubling(8, 6, **NORM),
    lambda: nn.BatchNorm2d(8, track_running_stats=False),
    lambda: nn.GroupNorm(2, 8),
])
def test_what_is_computed_otherwise_is_left(build):
    assert fused(build()) is None
