import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from mmcls_repmlp.ops import (bn_scale_shift, conv_to_fc,
                              fold_input_scale_shift, fold_scale_shift,
                              merge_convs_into_fc, pad_kernel)
from tests.helpers import assert_same, randn, randomize

SIZES = [(4, 4), (3, 5), (5, 2), (1, 1), (1, 4), (7, 7)]


@pytest.mark.parametrize('affine', [True, False])
def test_scale_shift_equals_batch_norm_in_eval_mode(affine):
    norm = nn.BatchNorm2d(6).double().eval()
    randomize(norm)
    x = randn(2, 6, 3, 3)
    weight, bias = (norm.weight, norm.bias) if affine else (None, None)
    scale, shift = bn_scale_shift(norm.running_mean, norm.running_var, weight,
                                  bias, norm.eps)
    expected = F.batch_norm(
        x, norm.running_mean, norm.running_var, weight, bias, eps=norm.eps)
    assert_same(x * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1),
                expected)


@pytest.mark.parametrize('with_bias', [True, False])
def test_folded_convolution_equals_convolution_then_affine(with_bias):
    weight, bias = randn(6, 2, 3, 3), randn(6, seed=1) if with_bias else None
    scale, shift = randn(6, seed=2), randn(6, seed=3)
    x = randn(2, 4, 5, 5, seed=4)
    expected = F.conv2d(
        x, weight, bias, groups=2) * scale.view(1, -1, 1, 1) + shift.view(
            1, -1, 1, 1)
    folded = fold_scale_shift(weight, bias, scale, shift)
    assert_same(F.conv2d(x, *folded, groups=2), expected)


def test_one_norm_channel_serves_the_rows_that_follow_each_other():
    weight, scale, shift = randn(6, 2), randn(2, seed=1), randn(2, seed=2)
    folded, bias = fold_scale_shift(weight, None, scale, shift)
    for row in range(6):
        assert_same(folded[row], weight[row] * scale[row // 3])
        assert bias[row] == shift[row // 3]


def test_channels_that_do_not_divide_the_rows_are_refused():
    with pytest.raises(ValueError, match='4 batch-norm channels .* 6'):
        fold_scale_shift(randn(6, 2), None, randn(4), randn(4))


def test_padding_and_cutting_a_kernel():
    kernel = randn(2, 3, 3, 5)
    padded = pad_kernel(kernel, (7, 9))
    assert_same(padded.sum(), kernel.sum())
    assert torch.equal(padded[..., 2:5, 2:7], kernel)
    assert torch.equal(pad_kernel(padded, (3, 5)), kernel)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('kernel_size', [1, 3, 5, (1, 3), (5, 3)])
@pytest.mark.parametrize('channels', [(3, 1), (2, 4)])
def test_matrix_equals_the_convolution(size, kernel_size, channels):
    kh, kw = (kernel_size,
              kernel_size) if isinstance(kernel_size, int) else kernel_size
    (o, i), (h, w) = channels, size
    kernel = randn(o, i, kh, kw)
    matrix = conv_to_fc(kernel, size)
    assert matrix.shape == (o * h * w, i * h * w)
    x = randn(2, i, h, w, seed=1)
    expected = F.conv2d(x, kernel, padding=(kh // 2, kw // 2))
    assert_same(x.flatten(1) @ matrix.t(), expected.flatten(1))


def test_every_entry_of_the_matrix_by_plain_loops():
    h, w, k = 3, 4, 3
    kernel = randn(1, 1, k, k)
    matrix = conv_to_fc(kernel, (h, w))
    for row in range(h * w):
        for col in range(h * w):
            dy, dx = col // w - row // w + 1, col % w - row % w + 1
            inside = 0 <= dy < k and 0 <= dx < k
            expected = kernel[0, 0, dy, dx] if inside else 0
            assert matrix[row, col] == expected


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('kernels', [(), (3, ), (1, 3), (1, 3, 5)])
def test_merged_layer_equals_the_sum_of_its_branches(size, kernels):
    s, q = 3, size[0] * size[1]
    fc = (randn(s * q, q), randn(s * q, seed=1))
    convs = [(randn(s, 1, k, k, seed=k), randn(s, seed=10 + k))
             for k in kernels]
    weight, bias = merge_convs_into_fc(fc, convs, size)
    x = randn(2, s, *size, seed=2)

    def fully_connected(weight, bias):
        rows = torch.einsum('nsq,spq->nsp', x.flatten(2), weight.view(s, q, q))
        return rows + bias.view(s, q)

    expected = fully_connected(*fc)
    for (kernel, conv_bias), k in zip(convs, kernels):
        branch = F.conv2d(x, kernel, conv_bias, padding=k // 2, groups=s)
        expected = expected + branch.flatten(2)
    assert_same(fully_connected(weight, bias), expected)


@pytest.mark.parametrize('shape', [(5, 4), (5, 4, 1, 1)])
def test_affine_input_is_folded_into_the_map_that_reads_it(shape):
    weight, bias = randn(*shape), randn(5, seed=1)
    scale, shift = randn(4, seed=2), randn(4, seed=3)
    x = randn(2, 4, 3, 3, seed=4)
    folded, folded_bias = fold_input_scale_shift(weight, bias, scale, shift)
    assert folded.shape == shape
    affine = x * scale.view(4, 1, 1) + shift.view(4, 1, 1)
    assert_same(
        F.conv2d(x, folded.view(5, 4, 1, 1), folded_bias),
        F.conv2d(affine, weight.view(5, 4, 1, 1), bias))


def test_one_input_channel_serves_the_inputs_that_follow_each_other():
    weight, bias = randn(5, 6), randn(5, seed=1)
    scale, shift = randn(2, seed=2), randn(2, seed=3)
    x = randn(4, 2, 3, seed=4)
    folded, folded_bias = fold_input_scale_shift(weight, bias, scale, shift)
    affine = x * scale.view(2, 1) + shift.view(2, 1)
    assert_same(
        F.linear(x.flatten(1), folded, folded_bias),
        F.linear(affine.flatten(1), weight, bias))


def test_channels_that_do_not_divide_the_inputs_are_refused():
    with pytest.raises(ValueError, match='4 batch-norm channels .* 6 inputs'):
        fold_input_scale_shift(randn(5, 6), randn(5), randn(4), randn(4))
