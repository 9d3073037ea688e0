import copy

import pytest
from torch import nn

from mmcls_repmlp.models.repmlp.conv_bn import ConvBN
from tests.helpers import assert_same, randn, random_model


def pair(**cfg):
    return random_model(ConvBN, in_channels=3, out_channels=4, **cfg)


@pytest.mark.parametrize(
    'cfg', [{},
            dict(relu=True),
            dict(kernel_size=3, stride=2),
            dict(kernel_size=7, stride=2, relu=True),
            dict(kernel_size=3, conv_cfg=dict(type='Conv2dAdaptivePadding')),
            dict(norm_cfg=dict(type='SyncBN', eps=0.25))])
def test_merged_equals_unmerged(cfg):
    trained, x = pair(**cfg), randn(2, 3, 9, 8)
    merged = copy.deepcopy(trained)
    merged.switch_to_deploy()
    assert_same(merged(x), trained(x))
    built = pair(**cfg, deploy=True)
    built.load_state_dict(merged.state_dict())
    assert_same(built(x), trained(x))
    assert (trained(x) >= 0).all() == ('relu' in cfg)


def test_names_and_sizes():
    assert [name for name, _ in pair().named_parameters()
            ] == ['conv.weight', 'bn.weight', 'bn.bias']
    assert pair(
        kernel_size=3, stride=2)(randn(2, 3, 9, 8)).shape == (2, 4, 5, 4)


def test_what_cannot_be_merged():
    with pytest.raises(ValueError, match='ConvWS'):
        pair(conv_cfg=dict(type='ConvWS'))
    trained = pair()
    trained.bn = nn.GroupNorm(1, 4)
    with pytest.raises(ValueError, match='GroupNorm'):
        trained.switch_to_deploy()
    assert not trained.deploy
