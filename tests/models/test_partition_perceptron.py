import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from mmcv.cnn import ConvModule
from torch import nn

from mmcls_repmlp.models.partition_perceptron import (PartitionPerceptron,
                                                      apply_depthwise,
                                                      apply_fc3)
from tests.helpers import assert_same, randn, randomize


class Perceptron(PartitionPerceptron):
    """Nothing but fc3 and the convolutions beside it, in plain words."""

    def __init__(self, channels=(4, 6), size=(3, 4)):
        super().__init__()
        self.channels, self.partition_size = channels, size
        self.reparam_conv_kernels = (1, 3)
        self.build_layers(*channels, 2, channels[1] * size[0] * size[1], False,
                          None, None)

    def forward(self, x):
        out = self.fc3(x.reshape(len(x), -1, 1, 1))
        if not self.deploy:
            out = self.fc3_bn(out)
        out = out.view(len(x), self.channels[1], *self.partition_size)
        return out + sum(branch(x) for branch in self.local_branches)


def build(**cfg):
    return randomize(Perceptron(**cfg)).double().eval()


@pytest.mark.parametrize('size', [(3, 4), (1, 1)])
@pytest.mark.parametrize('channels', [(4, 6), (4, 4)])
def test_merged_layer_equals_the_sum_in_float64(size, channels):
    block, x = build(size=size, channels=channels), randn(3, 4, *size)
    expected = block(x)
    weight, bias = block.float().fold_layers()['fc3']
    assert weight.dtype is bias.dtype is torch.float64
    assert weight.shape == block.fc3.weight.shape
    out = F.conv2d(
        x.reshape(3, -1, 1, 1), *block.double().fold_layers()['fc3'], groups=2)
    assert_same(out.view_as(expected), expected)
    block.switch_to_deploy()
    assert not block.local_branches
    assert_same(block(x), expected)


@pytest.mark.parametrize('change', [
    dict(padding=2, dilation=2),
    dict(padding=1, padding_mode='circular'),
    dict(padding=1, bias=True),
    dict(padding=1, groups=2)
])
def test_a_local_convolution_of_another_kind_is_called(change):
    branch = ConvModule(4, 4, 3, norm_cfg=dict(type='BN'), act_cfg=None)
    branch.conv = nn.Conv2d(4, 4, 3, **{'groups': 4, 'bias': False, **change})
    randomize(branch).double().eval()
    x = randn(2, 4, 5, 6)
    assert_same(apply_depthwise(branch, x), branch.norm(branch.conv(x)))


def test_a_layer_of_other_groups_in_its_place_is_called():
    layer, x = nn.Conv2d(8, 8, 1).double(), randn(3, 2, 4)
    expected = layer(x.reshape(3, 8, 1, 1)).view(3, 2, 4)
    with torch.no_grad():
        assert_same(apply_fc3(layer, x), expected)
