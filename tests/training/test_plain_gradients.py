import pytest
import torch
from torch import nn

from mmcls_repmlp.training import plain_gradients
from tests.helpers import assert_same, randn


@pytest.mark.parametrize('kernel', [1, 3])
def test_gradients_have_the_strides_of_their_weights(kernel):
    x = randn(2, 4, 5, 5).contiguous(memory_format=torch.channels_last)
    conv = nn.Conv2d(4, 6, kernel).double()
    seen = []
    expected, = torch.autograd.grad(conv(x).square().sum(), conv.weight)
    plain_gradients(conv)
    conv.weight.register_hook(lambda gradient: seen.append(gradient))
    conv(x).square().sum().backward()
    assert expected.stride() != conv.weight.stride()  # else nothing is shown
    assert seen[0].stride() == conv.weight.stride()
    assert_same(seen[0], expected)


def test_frozen_weights_are_left_alone():
    conv = nn.Conv2d(1, 1, 1).requires_grad_(False)
    plain_gradients(conv)
    assert not conv.weight._backward_hooks
