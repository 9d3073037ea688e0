import itertools

import pytest
import torch

from mmcls_repmlp.ops.resize_fc import (resampling_matrix, resize_fc,
                                        resize_fc_bias)
from tests.helpers import assert_same, randn

SIZES = [((2, 2), (3, 3)), ((3, 3), (2, 2)), ((3, 2), (2, 4)),
         ((1, 4), (3, 1)), ((2, 2), (1, 1))]
SHARESETS = [1, 3]


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
    return rows


def plain_resize(weight, old, new):
    """The same in loops over every output and input position."""
    up, down = ([plain_matrix(*pair) for pair in zip(*sizes)]
                for sizes in ((old, new), (new, old)))
    sets = weight.reshape(-1, *old, *old)
    out = torch.zeros(len(sets), *new, *new, dtype=torch.float64)
    ranges = [range(n) for n in (*new, *new, *old, *old)]
    for i, j, k, m, a, b, c, d in itertools.product(*ranges):
        factor = up[0][i][a] * up[1][j][b] * down[0][c][k] * down[1][d][m]
        out[:, i, j, k, m] += factor * sets[:, a, b, c, d]
    q = new[0] * new[1]
    return out.reshape(-1, q)


@pytest.mark.parametrize(('old', 'new'), [(4, 6), (6, 4), (7, 3), (3, 8),
                                          (1, 3), (5, 1), (56, 64)])
def test_the_matrix_against_the_formula(old, new):
    expected = torch.tensor(plain_matrix(old, new), dtype=torch.float64)
    assert_same(resampling_matrix(old, new), expected)


@pytest.mark.parametrize('shape', [(), (1, 1)])
@pytest.mark.parametrize('s', SHARESETS)
@pytest.mark.parametrize(('old', 'new'), SIZES)
def test_the_weight_against_plain_loops(old, new, s, shape):
    count = old[0] * old[1]
    weight = randn(s * count, count, *shape)
    resized = resize_fc(weight, old, new)
    q = new[0] * new[1]
    assert resized.shape == (s * q, q, *shape)
    assert_same(resized.reshape(-1, q), plain_resize(weight, old, new))


@pytest.mark.parametrize('s', SHARESETS)
@pytest.mark.parametrize(('old', 'new'), SIZES)
def test_the_bias_against_plain_loops(old, new, s):
    bias, (up_h, up_w) = randn(s * old[0] * old[1]), (
        plain_matrix(*pair) for pair in zip(old, new))
    sets = bias.reshape(s, *old)
    expected = torch.tensor([
        sum(up_h[i][a] * up_w[j][b] * sets[n, a, b] for a in range(old[0])
            for b in range(old[1])) for n in range(s) for i in range(new[0])
        for j in range(new[1])
    ])
    assert_same(resize_fc_bias(bias, old, new), expected.double(), 1e-6)


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
