import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from mmcv.cnn import ConvModule, build_conv_layer
from torch import nn

from mmcls_repmlp.models.norm_folding import (check_plain_conv,
                                              fold_conv_module,
                                              fold_leading_norm, fold_norm,
                                              scale_shift)
from tests.helpers import assert_same, randn, randomize


def norm_of(channels, kind=nn.BatchNorm2d):
    return randomize(kind(channels).double().eval())


@pytest.mark.parametrize('affine', [True, False])
def test_scale_and_shift_are_the_norm_in_eval_mode(affine):
    norm, x = norm_of(6), randn(2, 6, 3, 3)
    if not affine:
        norm.weight = norm.bias = None
    scale, shift = scale_shift(norm, 'x')
    assert_same(x * scale.view(-1, 1, 1) + shift.view(-1, 1, 1), norm(x))


@pytest.mark.parametrize('norm', [nn.BatchNorm2d, nn.SyncBatchNorm])
@pytest.mark.parametrize('with_bias', [True, False])
def test_folded_pair_equals_the_pair(norm, with_bias):
    conv = nn.Conv2d(4, 6, 3, bias=with_bias, groups=2).double()
    bn, x = norm_of(6, norm), randn(2, 4, 5, 5)
    weight, bias = fold_norm(conv, bn, 'pair')
    assert_same(F.conv2d(x, weight, bias, groups=2), bn(conv(x)))


def test_one_norm_channel_serves_the_rows_or_inputs_that_follow_each_other():
    layer, norm, x = nn.Linear(6, 6).double(), norm_of(2), randn(4, 2, 3, 1)
    rows = layer(x.flatten(1)).view(4, 2, 3, 1)
    folded = fold_norm(layer, norm, 'fc')
    assert_same(F.linear(x.flatten(1), *folded), norm(rows).flatten(1))
    folded = fold_leading_norm(norm, (layer.weight, layer.bias), 'x')
    assert_same(F.linear(x.flatten(1), *folded), layer(norm(x).flatten(1)))


def test_channels_that_do_not_divide_the_rows_or_inputs_are_refused():
    with pytest.raises(ValueError, match='4 batch-norm .* 6 outputs of fc'):
        fold_norm(nn.Linear(2, 6), norm_of(4), 'fc')
    with pytest.raises(ValueError, match='4 batch-norm .* 6 inputs of avg'):
        fold_leading_norm(norm_of(4), (randn(5, 6), randn(5)), 'avg')


@pytest.mark.parametrize('shape', [(5, 4), (5, 4, 1, 1)])
def test_leading_norm_is_folded_into_the_map_that_reads_it(shape):
    weight, bias, norm = randn(*shape), randn(5, seed=1), norm_of(4)
    x = randn(2, 4, 3, 3, seed=4)
    folded, folded_bias = fold_leading_norm(norm, (weight, bias), 'x')
    assert folded.shape == shape
    assert_same(
        F.conv2d(x, folded.view(5, 4, 1, 1), folded_bias),
        F.conv2d(norm(x), weight.view(5, 4, 1, 1), bias))


def test_folds_in_float64_whatever_the_dtype():
    conv, bn = nn.Conv2d(2, 2, 1).bfloat16(), nn.BatchNorm2d(2).bfloat16()
    assert all(t.dtype is torch.float64 for t in fold_norm(conv, bn, 'pair'))
    folded = fold_norm(conv, bn, 'pair', torch.float32)
    assert all(t.dtype is torch.float32 for t in folded)


class OtherNorm(nn.BatchNorm2d):

    def forward(self, x):
        return super().forward(x) + 1


@pytest.mark.parametrize('norm', [
    nn.GroupNorm(1, 2),
    nn.InstanceNorm2d(2),
    OtherNorm(2),
    nn.BatchNorm2d(2, track_running_stats=False)
])
def test_other_norms_are_refused(norm):
    message = f'x is normalised by {type(norm).__name__}.*cannot be merged'
    with pytest.raises(ValueError, match=message):
        fold_norm(nn.Conv2d(2, 2, 1), norm, 'x')
    with pytest.raises(ValueError, match=message):
        fold_leading_norm(norm, (randn(3, 2), randn(3)), 'x')


def test_a_conv_module_that_does_more_is_refused():
    layer = ConvModule(2, 3, 1, norm_cfg=dict(type='BN'))
    x = randn(2, 2, 4, 4)
    randomize(layer).double().eval()
    folded = fold_conv_module(layer, 'layer')
    assert_same(F.relu(F.conv2d(x, *folded)), layer(x))
    layer.order = ('norm', 'conv', 'act')
    with pytest.raises(
            ValueError, match='layer is not a ConvModule that runs'):
        fold_conv_module(layer, 'layer')


def test_convolutions_that_change_their_weight_are_refused():
    conv = build_conv_layer(dict(type='ConvWS'), 2, 2, 1)
    with pytest.raises(ValueError, match='ConvWS.*fc3 could not be merged'):
        check_plain_conv(conv, 'fc3')
