import pytest
import torch
from torch import nn

from mmcls_repmlp import reparameterize
from mmcls_repmlp.models.repmlp.conv_bn import ConvBN, ReLU
from tests.helpers import assert_same, randn, random_model


def pair(**cfg):
    return random_model(ConvBN, in_channels=3, out_channels=4, **cfg)


@pytest.mark.parametrize('cfg', [
    {},
    dict(relu=True),
    dict(kernel_size=3, stride=2),
    dict(kernel_size=7, stride=2, relu=True),
    dict(norm_cfg=dict(type='SyncBN', eps=0.25)),
])
def test_merged_equals_unmerged(cfg):
    trained, x = pair(**cfg), randn(2, 3, 9, 8)
    merged = reparameterize(trained)
    expected = trained(x)
    assert_same(merged(x), expected)
    assert (expected >= 0).all() == ('relu' in cfg)
    stride = cfg.get('stride', 1)
    assert expected.shape == (2, 4, -(-9 // stride), 8 // stride)
    built = pair(**cfg, deploy=True)
    built.load_state_dict(merged.state_dict())
    assert_same(built(x), expected)


@pytest.mark.parametrize('with_gradients', [True, False])
def test_in_place_only_without_gradients(with_gradients):
    x = randn(5)
    before = x.clone()
    with torch.set_grad_enabled(with_gradients):
        out = ReLU()(x)
    assert_same(out, before.relu(), 0)
    assert_same(x, before if with_gradients else before.relu(), 0)


def test_bears_backward_hooks_before_it_and_on_it():
    # nn.ReLU(inplace=True) ends in a RuntimeError here.
    net, calls = nn.Sequential(nn.Linear(2, 2), ReLU()).double(), []
    for module in net:
        module.register_full_backward_hook(lambda *_: calls.append(1))
    net(randn(3, 2).requires_grad_()).sum().backward()
    assert len(calls) == 2
