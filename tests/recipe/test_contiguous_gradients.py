import pytest
import torch
from torch import nn

from mmcls_repmlp.recipe.contiguous_gradients import make_gradients_contiguous
from tests.helpers import assert_same, randn


@pytest.mark.parametrize('kernel', [1, 3])
def test_gradients_have_the_strides_of_their_weights(kernel):
    # Which layout a convolution gives depends on the processor; this one is
    # channels last everywhere.
    conv = nn.Conv2d(4, 6, kernel).double()
    factor, seen = randn(6, kernel, kernel, 4), []

    def loss():
        return (conv.weight.permute(0, 2, 3, 1) * factor).sum()

    expected, = torch.autograd.grad(loss(), conv.weight)
    assert expected.stride() != conv.weight.stride()  # else nothing is shown
    make_gradients_contiguous(conv)
    conv.weight.register_hook(lambda gradient: seen.append(gradient))
    loss().backward()
    assert seen[0].stride() == conv.weight.stride()
    assert_same(seen[0], expected)


def test_frozen_weights_are_left_alone():
    conv = nn.Conv2d(1, 1, 1).requires_grad_(False)
    make_gradients_contiguous(conv)
    assert not conv.weight._backward_hooks
