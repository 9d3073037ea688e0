import copy

import pytest
import torch
from torch import nn

from mmcls_repmlp.models.mergeable import Mergeable
from mmcls_repmlp.models.repmlp.repmlp_resnet_blocks import (
    BaseBlock, RepMLPBottleneckBlock, RepMLPLightBlock)
from tests.helpers import DATA, assert_same, randn, random_model

REPMLP = dict(input_size=6, partition_size=3, num_groups=2)
BLOCKS = [(BaseBlock, {}), (RepMLPLightBlock, dict(repmlp=REPMLP)),
          (RepMLPBottleneckBlock, dict(repmlp=REPMLP, reduction=2))]


def merge(model):
    for module in [m for m in model.modules() if isinstance(m, Mergeable)]:
        module.switch_to_deploy()


@pytest.mark.parametrize('deploy', [False, True])
@pytest.mark.parametrize(('name', 'cls'),
                         [('light', RepMLPLightBlock),
                          ('bottleneck', RepMLPBottleneckBlock)])
def test_equals_the_official_code(name, cls, deploy):
    oracle = torch.load(DATA / f'repmlp_v1_{name}_block.pt', weights_only=True)
    cfg = oracle['config']
    special = dict(reduction=cfg['r']) if 'r' in cfg else {}
    model = cls(
        cfg['in_channels'],
        cfg['mid_channels'],
        cfg['out_channels'],
        repmlp=dict(
            input_size=(cfg['H'], cfg['W']),
            partition_size=(cfg['h'], cfg['w']),
            reparam_conv_kernels=cfg['reparam_conv_k'],
            globalperceptron_ratio=cfg['fc1_fc2_reduction'],
            num_groups=cfg['fc3_groups']),
        **special)
    assert [*model.state_dict()] == [*oracle['state_dict']]
    model.load_state_dict(oracle['state_dict'])
    model.double().eval()
    if deploy:
        merge(model)
        assert not [k for k in model.state_dict() if 'bn' in k]
    assert_same(model(oracle['input'].double()), oracle['output'])


@pytest.mark.parametrize(('cls', 'special'), BLOCKS)
@pytest.mark.parametrize('in_channels', [8, 16])
def test_is_relu_of_residual_and_shortcut(cls, special, in_channels):
    model = random_model(
        cls,
        in_channels=in_channels,
        mid_channels=8,
        out_channels=16,
        **special)
    merged, x = copy.deepcopy(model), randn(2, in_channels, 6, 6)
    projected = not isinstance(model.shortcut, nn.Identity)
    assert projected is (in_channels == 8)
    expected = (model.residual(x) + model.shortcut(x)).relu()
    before = x.clone()
    assert_same(model(x), expected)
    merge(merged)
    assert_same(merged(x), expected)
    assert torch.equal(x, before)  # ReLU works in place, but not on x


def test_stride_is_that_of_the_3x3():
    model = random_model(
        BaseBlock, in_channels=16, mid_channels=4, out_channels=16, stride=2)
    assert model.conv2.conv.stride == model.shortcut.conv.stride == (2, 2)
    assert model(randn(2, 16, 5, 6)).shape == (2, 16, 3, 3)


def test_reduction_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match='reduction of 3 does not divide 8'):
        RepMLPBottleneckBlock(16, 8, 16, 3, REPMLP)


def test_drop_path_leaves_the_shortcut_in_training_only():
    torch.manual_seed(0)
    model = random_model(
        BaseBlock,
        in_channels=8,
        mid_channels=2,
        out_channels=8,
        drop_path_rate=0.9)
    x = randn(64, 8, 2, 2)
    unchanged = (model.train()(x) == x.relu()).flatten(1).all(1)
    assert 0 < unchanged.sum() < 64
    assert not (model.eval()(x) == x.relu()).flatten(1).all(1).any()
