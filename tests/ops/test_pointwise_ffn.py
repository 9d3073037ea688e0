import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from mmcls_repmlp.ops import pointwise_ffn
from tests.helpers import assert_same, randn


def operands(c=6, d=12):
    return (randn(d, c, 1, 1,
                  seed=1), randn(d, seed=2)), (randn(c, d, 1, 1,
                                                     seed=3), randn(c, seed=4))


def expected(x, first, second):
    return F.conv2d(F.gelu(F.conv2d(x, *first)), *second)


@pytest.mark.parametrize('shape', [(1, 6, 2, 2), (5, 6, 8, 8), (3, 6, 1, 1)])
def test_equals_its_formula(shape):
    x = randn(*shape)
    assert_same(pointwise_ffn(x, *operands()), expected(x, *operands()))


@pytest.mark.parametrize('images', [1, 2, 5, 6])
def test_a_few_images_at_a_time_give_the_same(images, monkeypatch):
    monkeypatch.setitem(pointwise_ffn.__globals__, '_HIDDEN_BYTES',
                        images * 12 * 64 * 8)
    x = randn(5, 6, 8, 8)
    assert_same(pointwise_ffn(x, *operands()), expected(x, *operands()))


def test_input_is_left_alone_and_gradients_are_right():
    x = randn(2, 6, 4, 4)
    kept = x.clone()
    pointwise_ffn(x, *operands())
    assert torch.equal(x, kept)
    grads = []
    for compute in (pointwise_ffn, expected):
        leaf = x.clone().requires_grad_()
        compute(leaf, *operands()).sum().backward()
        grads.append(leaf.grad)
    assert_same(*grads)


def test_no_images():
    assert pointwise_ffn(randn(0, 6, 2, 2), *operands()).shape == (0, 6, 2, 2)
