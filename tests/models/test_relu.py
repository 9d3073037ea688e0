import pytest
import torch
from torch import nn

from mmcls_repmlp.models.relu import ReLU
from tests.helpers import assert_same, randn


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
