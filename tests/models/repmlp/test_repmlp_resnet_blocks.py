import pytest
import torch
from torch import nn

from mmcls_repmlp import reparameterize
from mmcls_repmlp.models.repmlp.repmlp_resnet_blocks import (
    BaseBlock, RepMLPBottleneckBlock, RepMLPLightBlock)
from tests.helpers import assert_same, randn, random_model

REPMLP = dict(input_size=6, partition_size=3, num_groups=2)
BLOCKS = [(BaseBlock, {}), (RepMLPLightBlock, dict(repmlp=REPMLP)),
          (RepMLPBottleneckBlock, dict(repmlp=REPMLP, reduction=2))]


def block(cls, in_channels, mid_channels, **cfg):
    return random_model(
        cls,
        in_channels=in_channels,
        mid_channels=mid_channels,
        out_channels=16,
        **cfg)


@pytest.mark.parametrize(('cls', 'special'), BLOCKS)
@pytest.mark.parametrize('in_channels', [8, 16])
def test_is_relu_of_residual_and_shortcut(cls, special, in_channels):
    model, x = block(cls, in_channels, 8,
                     **special), randn(2, in_channels, 6, 6)
    assert isinstance(model.shortcut, nn.Identity) is (in_channels == 16)
    expected = (model.residual(x) + model.shortcut(x)).relu()
    before = x.clone()
    assert_same(model(x), expected)
    assert_same(reparameterize(model)(x), expected)
    assert torch.equal(x, before)  # ReLU works in place, but not on x


def test_stride_is_that_of_the_3x3():
    model = block(BaseBlock, 16, 4, stride=2)
    assert model.conv2.conv.stride == model.shortcut.conv.stride == (2, 2)
    assert model(randn(2, 16, 5, 6)).shape == (2, 16, 3, 3)
