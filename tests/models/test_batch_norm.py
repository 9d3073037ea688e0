import pytest
import torch
from mmcv.cnn import build_conv_layer
from torch import nn

from mmcls_repmlp.models.batch_norm import check_plain_conv, fold_bn
from tests.helpers import assert_same, randn, randomize


@pytest.mark.parametrize('norm', [nn.BatchNorm2d, nn.SyncBatchNorm])
@pytest.mark.parametrize('with_bias', [True, False])
def test_folded_pair_equals_the_pair(norm, with_bias):
    conv = nn.Conv2d(4, 6, 3, bias=with_bias).double()
    bn = randomize(norm(6).double().eval())
    x = randn(2, 4, 5, 5)
    weight, bias = fold_bn(conv, bn, 'pair')
    assert_same(nn.functional.conv2d(x, weight, bias), bn(conv(x)))


def test_folds_in_float64_whatever_the_dtype():
    conv, bn = nn.Conv2d(2, 2, 1).bfloat16(), nn.BatchNorm2d(2).bfloat16()
    assert all(t.dtype is torch.float64 for t in fold_bn(conv, bn, 'pair'))


def test_norm_without_learned_weights():
    conv = nn.Conv2d(2, 3, 1).double()
    bn = nn.BatchNorm2d(3, affine=False).double().eval()
    bn.running_mean.copy_(randn(3))
    x = randn(2, 2, 4, 4)
    weight, bias = fold_bn(conv, bn, 'pair')
    assert_same(nn.functional.conv2d(x, weight, bias), bn(conv(x)))


@pytest.mark.parametrize('norm', [
    nn.GroupNorm(1, 2),
    nn.Identity(),
    nn.InstanceNorm2d(2),
    nn.BatchNorm2d(2, track_running_stats=False)
])
def test_other_norms_are_refused(norm):
    with pytest.raises(
            ValueError,
            match='fc3 is normalised by '
            f'{type(norm).__name__}.*cannot be merged'):
        fold_bn(nn.Conv2d(2, 2, 1), norm, 'fc3')


@pytest.mark.parametrize('kind', ['Conv2d', 'Conv', 'Conv2dAdaptivePadding'])
def test_plain_convolutions(kind):
    check_plain_conv(build_conv_layer(dict(type=kind), 2, 2, 1), 'fc3')


@pytest.mark.parametrize('kind', ['ConvWS', 'ConvAWS'])
def test_convolutions_that_change_their_weight_are_refused(kind):
    conv = build_conv_layer(dict(type=kind), 2, 2, 1)
    with pytest.raises(ValueError, match=f'{kind}.*fc3 could not be merged'):
        check_plain_conv(conv, 'fc3')
