import pytest
import torch.nn.functional as F  # noqa: N812

from mmcls_repmlp.ops import local_conv
from tests.helpers import assert_same, randn


@pytest.mark.parametrize('channels', [1, 2, 7, 8, 16])
@pytest.mark.parametrize('kernel', [1, 3, 5])
@pytest.mark.parametrize('size', [(4, 4), (3, 5), (1, 2)])
def test_equals_a_depthwise_convolution_and_its_gradients(
        channels, kernel, size):
    results = []
    for conv in (
            local_conv,
            lambda x, w: F.conv2d(x, w, padding=kernel // 2, groups=channels)):
        x = randn(3, channels, *size).requires_grad_()
        weight = randn(channels, 1, kernel, kernel, seed=1).requires_grad_()
        out = conv(x, weight)
        out.backward(randn(*out.shape, seed=2))
        results.append([out, x.grad, weight.grad])
    assert_same(*results)
