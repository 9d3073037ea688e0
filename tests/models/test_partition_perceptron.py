import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from mmcls_repmlp.models.partition_perceptron import (PartitionPerceptron,
                                                      apply_fc3)
from tests.helpers import assert_same, randn, randomize


class Perceptron(PartitionPerceptron):
    """Nothing but fc3 and the convolutions beside it, in plain words."""

    def __init__(self,
                 channels=(4, 6),
                 size=(3, 4),
                 groups=2,
                 deploy=False,
                 conv_cfg=None):
        super().__init__()
        self.channels, self.groups = channels, groups
        self.partition_size = size
        self.reparam_conv_kernels = (1, 3)
        self.build_layers(*channels, groups, channels[1] * size[0] * size[1],
                          deploy, conv_cfg, None)

    def forward(self, x):
        out = self.fc3(x.reshape(len(x), -1, 1, 1))
        if not self.deploy:
            out = self.fc3_bn(out)
        out = out.view(len(x), self.channels[1], *self.partition_size)
        return out + sum(branch(x) for branch in self.local_branches)


def build(**cfg):
    return randomize(Perceptron(**cfg)).double().eval()


@pytest.mark.parametrize('deploy', [False, True])
def test_has_a_bias_in_deploy_form_alone(deploy):
    block = build(deploy=deploy)
    assert block.fc3.weight.shape == (72, 24, 1, 1)
    assert (block.fc3.bias is not None) is block.deploy is deploy


def test_branches_by_name():
    block = build()
    assert block.training_only == ('fc3_bn', 'repconv1', 'repconv3')
    assert [*dict(block.named_children())] == ['fc3', *block.training_only]
    assert block.local_branches == [block.repconv1, block.repconv3]
    assert block.repconv3.conv.weight.shape == (6, 2, 3, 3)


def test_layers_that_cannot_be_merged_are_refused():
    with pytest.raises(ValueError, match=r'ConvWS.*fc3'):
        build(conv_cfg=dict(type='ConvWS'))


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


def test_a_norm_that_cannot_be_folded_is_named():
    block = build()
    block.repconv3.bn = nn.InstanceNorm2d(6)
    with pytest.raises(ValueError, match='repconv3 is normalised by Instance'):
        block.fold_layers()


def test_a_layer_of_other_groups_in_its_place_is_called():
    layer, x = nn.Conv2d(8, 8, 1).double(), randn(3, 2, 4)
    expected = layer(x.reshape(3, 8, 1, 1)).view(3, 2, 4)
    with torch.no_grad():
        assert_same(apply_fc3(layer, x), expected)
