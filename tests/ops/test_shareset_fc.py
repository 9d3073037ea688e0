import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from mmcls_repmlp.ops import shareset_fc
from tests.helpers import assert_same, randn

SHAPES = [(3, 1, 4), (2, 5, 6), (1, 8, 1), (7, 2, 9)]


def operands(m, s, q):
    return randn(m, s, q), randn(s * q, q, 1, 1, seed=1), randn(s * q, seed=2)


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('with_bias', [True, False])
def test_equals_plain_loops(shape, with_bias):
    (m, s, q), (x, weight, bias) = shape, operands(*shape)
    expected = torch.zeros(shape, dtype=torch.float64)
    for row in range(m):
        for shareset in range(s):
            matrix = weight[shareset * q:(shareset + 1) * q, :, 0, 0]
            expected[row, shareset] = matrix @ x[row, shareset]
            if with_bias:
                expected[row, shareset] += bias[shareset * q:(shareset + 1)
                                                * q]
    assert_same(shareset_fc(x, weight, bias if with_bias else None), expected)


@pytest.mark.parametrize('shape', SHAPES)
def test_equals_the_grouped_convolution_and_its_gradients(shape):
    m, s, q = shape
    grads = []
    for compute in (
            lambda x, w, b: shareset_fc(x, w, b),
            lambda x, w, b: F.conv2d(
                x.reshape(m, s * q, 1, 1), w, b, groups=s).view(m, s, q)):
        leaves = [t.requires_grad_() for t in operands(*shape)]
        out = compute(*leaves)
        out.backward(randn(m, s, q, seed=3))
        grads.append([out, *(leaf.grad for leaf in leaves)])
    assert_same(*grads)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_keeps_the_dtype(dtype):
    x, weight, bias = (t.to(dtype) for t in operands(2, 3, 4))
    assert shareset_fc(x, weight, bias).dtype is dtype


def test_takes_an_input_of_any_stride():
    x, weight, bias = operands(4, 3, 5)
    strided = x.transpose(0, 1).contiguous().transpose(0, 1)
    assert not strided.is_contiguous()
    assert_same(shareset_fc(strided, weight, bias),
                shareset_fc(x, weight, bias))


def test_is_not_a_convolution_of_single_pixels():
    # How mmcls computes it, at a tenth of the speed.
    with torch.profiler.profile() as profile:
        shareset_fc(*operands(2, 3, 4))
    names = {event.key for event in profile.key_averages()}
    assert 'aten::baddbmm' in names
    assert not any('conv' in name for name in names)


@pytest.mark.parametrize('wrong', ['weight', 'bias'])
def test_refuses_shapes_that_do_not_belong_together(wrong):
    x, weight, bias = operands(2, 3, 4)
    weight, bias = (weight[1:], bias) if wrong == 'weight' else (weight,
                                                                 bias[1:])
    with pytest.raises(ValueError, match=f'{wrong} of shape'):
        shareset_fc(x, weight, bias)
