import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from mmcls_repmlp.ops import conv_to_fc, merge_convs_into_fc, pad_kernel
from tests.helpers import assert_same, randn

SIZES = [(4, 4), (3, 5), (5, 2), (1, 1), (1, 4), (7, 7)]


def test_padding_and_cutting_a_kernel():
    kernel = randn(2, 3, 3, 5)
    padded = pad_kernel(kernel, (7, 9))
    assert_same(padded.sum(), kernel.sum())
    assert torch.equal(padded[..., 2:5, 2:7], kernel)
    assert torch.equal(pad_kernel(padded, (3, 5)), kernel)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('kernel', [(1, 1), (3, 3), (5, 5), (1, 3), (5, 3)])
def test_matrix_equals_the_convolution(size, kernel):
    weight, x = randn(2, 4, *kernel), randn(2, 4, *size, seed=1)
    matrix = conv_to_fc(weight, size)
    expected = F.conv2d(x, weight, padding=[k // 2 for k in kernel])
    assert_same(x.flatten(1) @ matrix.t(), expected.flatten(1))


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('kernels', [(), (3, ), (1, 3), (1, 3, 5)])
def test_merged_layer_equals_the_sum_of_its_branches(size, kernels):
    s, q = 3, size[0] * size[1]
    fc = randn(s * q, q), randn(s * q, seed=1)
    convs = [(randn(s, 1, k, k, seed=k), randn(s, seed=10 + k))
             for k in kernels]
    x = randn(2, s, *size, seed=2)

    def layer(weight, bias):
        rows = torch.einsum('nsq,spq->nsp', x.flatten(2), weight.view(s, q, q))
        return (rows + bias.view(s, q)).view_as(x)

    expected = layer(*fc)
    for conv, k in zip(convs, kernels):
        expected = expected + F.conv2d(x, *conv, padding=k // 2, groups=s)
    assert_same(layer(*merge_convs_into_fc(fc, convs, size)), expected)
