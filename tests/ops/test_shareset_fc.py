from math import prod

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from mmcls_repmlp.ops import shareset_fc
from mmcls_repmlp.ops.shareset_fc import (by_convolution, by_matrix_products,
                                          prefers_convolution,
                                          prefers_weights_first, weights_first)
from tests.helpers import assert_same, randn

FORMULATIONS = [shareset_fc, by_convolution, by_matrix_products, weights_first]


def operands(m, s, q, r=None):
    r = r or q
    return randn(m, s, q), randn(s * r, q, 1, 1, seed=1), randn(s * r, seed=2)


# Also with other numbers of outputs than inputs, as in the first paper's
# block, whose groups are what sharesets are here; and with large matrices.
@pytest.mark.parametrize('formulation', FORMULATIONS)
@pytest.mark.parametrize(('m', 's', 'q', 'r'), [(3, 1, 4, 4), (1, 8, 1, 1),
                                                (7, 2, 9, 9), (3, 1, 4, 6),
                                                (2, 5, 6, 3), (64, 4, 2, 5),
                                                (5, 2, 256, 130)])
@pytest.mark.parametrize('with_bias', [True, False])
def test_equals_the_grouped_convolution_and_its_gradients(
        formulation, m, s, q, r, with_bias):

    def plain(x, weight, bias):
        x = x.reshape(m, s * q, 1, 1)
        return F.conv2d(x, weight, bias, groups=s).view(m, s, r)

    results = []
    for compute in (formulation, plain):
        leaves = [
            leaf.requires_grad_()
            for leaf in operands(m, s, q, r)[:2 + with_bias]
        ]
        out = compute(*leaves, *[None] * (not with_bias))
        out.backward(randn(m, s, r, seed=3))
        results.append([out, *(leaf.grad for leaf in leaves)])
    assert_same(*results)


def test_weights_of_large_matrices_get_their_gradient_without_a_copy():
    x, weight, _ = operands(5, 2, 256, 130)
    with torch.profiler.profile(record_shapes=True) as profile:
        shareset_fc(x, weight.requires_grad_()).sum().backward()
    copied = [
        prod(event.input_shapes[0]) for event in profile.events()
        if event.name in ('aten::copy_', 'aten::clone')
    ]
    assert copied and weight.numel() not in copied


@pytest.mark.parametrize('compute', FORMULATIONS)
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_keeps_the_dtype(compute, dtype):
    x, weight, bias = operands(64, 3, 4)
    out = compute(*(t.to(dtype) for t in (x, weight, bias)))
    assert out.dtype is dtype
    assert_same(out.double(), shareset_fc(x, weight, bias), 2e-2)


@pytest.mark.parametrize('compute', FORMULATIONS)
def test_weights_are_not_copied(compute):
    x, weight, bias = (t.float() for t in operands(8, 2, 100))
    with torch.profiler.profile(profile_memory=True) as profile:
        compute(x, weight, bias)
    largest = max(abs(e.self_cpu_memory_usage) for e in profile.key_averages())
    assert largest < weight.nbytes


@pytest.fixture
def capability(monkeypatch):
    """Pretend to have a processor."""

    def pretend(name):
        monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability',
                            lambda: name)

    return pretend


def test_convolution_is_preferred_for_many_rows_or_few_inputs(capability):
    capability('AVX512')

    def prefers(m, q, dtype=torch.float32, weight_grad=False):
        x = torch.empty(m, 2, q, dtype=dtype)
        weight = torch.empty(2 * q, q, dtype=dtype)
        return prefers_convolution(x, weight.requires_grad_(weight_grad))

    assert prefers(48, 49) and prefers(48, 49, torch.bfloat16)
    assert not prefers(47, 49)
    assert not prefers(48, 3136) and prefers(392, 3136)
    assert not prefers(48, 49, torch.float64)
    # With gradients the number of inputs counts, not that of rows.
    assert prefers(1, 64, weight_grad=True)
    assert not prefers(1000, 65, weight_grad=True)
    assert not prefers(48, 64, torch.float64, weight_grad=True)
    with torch.no_grad():
        assert prefers(48, 65, weight_grad=True)
        assert not prefers(1, 64, weight_grad=True)
    capability('AVX2')
    assert not prefers(48, 49) and prefers(48, 49, torch.bfloat16)
    assert prefers(1, 64, weight_grad=True)


def test_weights_come_first_for_few_rows_of_one_matrix_with_avx2(capability):
    capability('AVX2')

    def prefers(m, s, q, dtype=torch.float32, weight_grad=False):
        weight = torch.empty(s * q, q, dtype=dtype, device='cpu')
        return prefers_weights_first(
            torch.empty(m, s, q, dtype=dtype),
            weight.requires_grad_(weight_grad))

    assert prefers(32, 1, 264) and prefers(390, 1, 3136)
    assert not prefers(31, 1, 264) and not prefers(392, 1, 3136)
    assert not prefers(32, 2, 264)
    assert not prefers(32, 1, 264, torch.float64)
    assert not prefers(32, 1, 264, weight_grad=True)
    capability('AVX512')
    assert not prefers(32, 1, 264)


@pytest.mark.parametrize('wrong', ['weight', 'bias'])
def test_refuses_shapes_that_do_not_belong_together(wrong):
    given = dict(zip(('x', 'weight', 'bias'), operands(2, 3, 4)))
    given[wrong] = given[wrong][1:]
    with pytest.raises(ValueError, match=f'{wrong} of shape'):
        shareset_fc(**given)


@pytest.mark.parametrize('s', [1, 2])
@pytest.mark.parametrize('q', [4, 300])
def test_no_rows(s, q):
    x, weight = torch.zeros(0, s, q), torch.ones(3 * s, q, requires_grad=True)
    with torch.no_grad():
        assert shareset_fc(x, weight).shape == (0, s, 3)
    shareset_fc(x, weight).sum().backward()
    assert not weight.grad.any()


@pytest.mark.filterwarnings('ignore:.*torch.jit')
@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')
def test_traces_with_and_without_gradients_are_the_same():
    # Of as many inputs as get another layout in training.
    weight = randn(512, 256).requires_grad_()
    torch.jit.trace(shareset_fc, (randn(3, 2, 256), weight))
