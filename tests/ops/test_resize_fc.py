import pytest
import torch

from mmcls_repmlp.ops.resize_fc import (resampling_matrix, resize_fc,
                                        resize_fc_bias)
from tests.helpers import assert_same, randn


def cubic(x, a=-0.5):
    x = abs(x)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.


def plain_matrix(old, new):
    """Weights of old cells for every new cell, from their centres."""
    spread = max(old / new, 1.)
    rows = []
    for j in range(new):
        centre = (j + 0.5) * old / new
        row = [cubic((i + 0.5 - centre) / spread) for i in range(old)]
        rows.append([value / sum(row) for value in row])
    return torch.tensor(rows, dtype=torch.float64)


def plain_maps(old, new):
    """The same for flattened maps, both axes at once: (Q, Q')."""
    return torch.kron(*map(plain_matrix, old, new))


@pytest.mark.parametrize(('old', 'new'), [(4, 6), (6, 4), (7, 3), (3, 8),
                                          (1, 3), (5, 1), (56, 64)])
def test_the_matrix_against_the_formula(old, new):
    assert_same(resampling_matrix(old, new), plain_matrix(old, new))


@pytest.mark.parametrize('shape', [(), (1, 1)])
@pytest.mark.parametrize('s', [1, 3])
@pytest.mark.parametrize(('old', 'new'), [((2, 2), (3, 3)), ((3, 3), (2, 2)),
                                          ((3, 2), (2, 4)), ((1, 4), (3, 1)),
                                          ((2, 2), (1, 1))])
def test_the_layer_against_products_of_whole_matrices(old, new, s, shape):
    q_old, q = old[0] * old[1], new[0] * new[1]
    weight, bias = randn(s * q_old, q_old, *shape), randn(s * q_old, seed=1)
    up, down = plain_maps(old, new), plain_maps(new, old)
    expected = up @ weight.view(s, q_old, q_old) @ down
    assert_same(resize_fc(weight, old, new), expected.view(s * q, q, *shape))
    assert_same(
        resize_fc_bias(bias, old, new),
        (bias.view(s, q_old) @ up.t()).view(-1))


@pytest.mark.parametrize('dtype', [torch.float16, torch.float32])
def test_equal_sizes_change_nothing(dtype):
    weight, bias = randn(30, 15).to(dtype), randn(30).to(dtype)
    assert torch.equal(resize_fc(weight, (3, 5), (3, 5)), weight)
    assert torch.equal(resize_fc_bias(bias, (3, 5), (3, 5)), bias)


def test_weights_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r'\(8, 4\) is not for .* 3x3'):
        resize_fc(torch.ones(8, 4), (3, 3), (2, 2))
    with pytest.raises(ValueError, match=r'\(9, 4\) is not for .* 2x2'):
        resize_fc(torch.ones(9, 4), (2, 2), (3, 3))
    with pytest.raises(ValueError, match=r'\(9,\) is not for .* 2x2'):
        resize_fc_bias(torch.ones(9), (2, 2), (3, 3))
