import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from mmcls_repmlp.ops import pointwise_ffn, to_pointwise_layout
from tests.helpers import assert_same, randn

FIRST = randn(12, 6, 1, 1, seed=1), randn(12, seed=2)
SECOND = randn(6, 12, 1, 1, seed=3), randn(6, seed=4)


def plain(x, first, second):
    return F.conv2d(F.gelu(F.conv2d(x, *first)), *second)


@pytest.mark.parametrize('shape', [(1, 6, 2, 2), (5, 6, 8, 8), (3, 6, 1, 1)])
def test_equals_its_formula_and_gradients_and_leaves_its_input_alone(shape):
    results, x = [], randn(*shape)
    for compute in (pointwise_ffn, plain):
        leaf = x.clone().requires_grad_()
        out = compute(leaf, FIRST, SECOND)
        out.sum().backward()
        results.append([out, leaf.grad])
    assert_same(*results)
    assert_same(pointwise_ffn(x, FIRST, SECOND), results[1][0])
    assert torch.equal(x, randn(*shape))


@pytest.mark.parametrize('images', [1, 2, 5, 6])
def test_a_few_images_at_a_time_give_the_same(images, monkeypatch):
    monkeypatch.setitem(pointwise_ffn.__globals__, '_HIDDEN_BYTES',
                        images * 12 * 64 * 8)
    x = randn(5, 6, 8, 8)
    assert_same(pointwise_ffn(x, FIRST, SECOND), plain(x, FIRST, SECOND))


@pytest.mark.parametrize(('shape', 'changes'), [((2, 3, 4, 4), True),
                                                ((1, 8, 4, 4), True),
                                                ((1, 8, 3, 5), False)])
def test_only_the_layout_changes_where_positions_are_many(shape, changes):
    x = randn(*shape)
    out = to_pointwise_layout(x)
    assert torch.equal(out, x)
    assert out.is_contiguous() is not changes
    assert out.is_contiguous(memory_format=torch.channels_last) is changes
