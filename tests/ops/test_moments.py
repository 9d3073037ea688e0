import pytest
import torch

from mmcls_repmlp.ops import is_cheap_to_measure, linear_statistics, moments
from tests.helpers import assert_same, randn

S, M, Q, R = 2, 40, 5, 3


def test_they_are_mean_and_covariance():
    x = randn(S, M, Q) + 3
    found = moments(x)
    assert found.rows == M
    for s in range(S):
        assert_same(found.mean[s], x[s].mean(0))
        assert_same(found.covariance[s], torch.cov(x[s].T, correction=0),
                    1e-10)


def test_they_give_the_statistics_of_a_layers_output():
    x, weight = randn(S, M, Q) + 1, randn(S, R, Q)
    out = x @ weight.mT
    mean, variance = linear_statistics(weight, moments(x))
    assert_same(mean, out.mean(1), 1e-10)
    assert_same(variance, out.var(1, correction=0), 1e-10)


@pytest.mark.parametrize('check', [
    torch.autograd.gradcheck, torch.autograd.gradgradcheck])  # yapf: disable
def test_gradients(check):
    x = randn(S, 6, Q).requires_grad_()
    assert check(lambda x: moments(x)[:2], (x, ))


@pytest.mark.parametrize(('shape', 'dtype', 'cheap'), [
    ((1, 1024, 256), torch.float32, True),
    ((1, 1023, 256), torch.float32, False),
    ((1, 4096, 257), torch.float32, False),
    ((8, 4096, 49), torch.float64, True),
    ((8, 4096, 49), torch.bfloat16, False),
])
def test_they_are_measured_where_that_is_cheap(shape, dtype, cheap):
    x = torch.empty(1, dtype=dtype).expand(shape)
    assert is_cheap_to_measure(x) is cheap
    with torch.autocast('cpu'):
        assert not is_cheap_to_measure(x)
    assert not is_cheap_to_measure(x.to('meta'))
