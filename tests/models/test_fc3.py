import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from mmcls_repmlp.models.fc3 import (branch_names, build_branches, build_fc3,
                                     fold_fc3)
from tests.helpers import assert_same, randn, randomize


@pytest.mark.parametrize('deploy', [False, True])
def test_has_a_bias_in_deploy_form_alone(deploy):
    fc3 = build_fc3(8, 12, 2, None, deploy)
    assert fc3.weight.shape == (12, 4, 1, 1)
    assert (fc3.bias is not None) is deploy


def test_branches_by_name():
    branches = build_branches(4, 6, (1, 5), 2, None, dict(type='BN'))
    assert [*branches] == ['repconv1', 'repconv5'] == [*branch_names((1, 5))]
    assert branches['repconv5'].conv.weight.shape == (6, 2, 5, 5)
    assert branches['repconv5'](torch.rand(2, 4, 3, 7)).shape == (2, 6, 3, 7)


@pytest.mark.parametrize('build', [
    lambda cfg: build_fc3(8, 8, 2, cfg, False),
    lambda cfg: build_branches(4, 4, (3, ), 1, cfg, dict(type='BN'))
])
def test_layers_that_cannot_be_merged_are_refused(build):
    with pytest.raises(ValueError, match='ConvWS'):
        build(dict(type='ConvWS'))


@pytest.mark.parametrize('size', [(3, 4), (1, 1)])
@pytest.mark.parametrize('channels', [(4, 6), (4, 4)])
def test_folded_layer_equals_the_sum_in_float64(size, channels):
    (i, o), q, groups = channels, size[0] * size[1], 2
    fc3 = build_fc3(i * q, o * q, groups, None, False)
    branches = build_branches(i, o, (1, 3), groups, None, dict(type='BN'))
    model = randomize(
        nn.ModuleList([fc3, nn.BatchNorm2d(o * q),
                       *branches.values()])).eval()
    weight, bias = fold_fc3(model[0], model[1], [*model[2:]], size)
    assert weight.dtype is bias.dtype is torch.float64
    assert weight.shape == fc3.weight.shape
    model.double()
    x = randn(3, i, *size)
    expected = model[1](fc3(x.reshape(3, -1, 1, 1))).view(3, o, *size)
    expected = expected + sum(branch(x) for branch in model[2:])
    out = F.conv2d(x.reshape(3, -1, 1, 1), weight, bias, groups=groups)
    assert_same(out.view_as(expected), expected)


def test_a_norm_that_cannot_be_folded_is_named():
    branches = build_branches(4, 4, (3, ), 1, None, dict(type='BN'))
    branches['repconv3'].bn = nn.InstanceNorm2d(4)
    with pytest.raises(ValueError, match='repconv3 is normalised by Instance'):
        fold_fc3(
            build_fc3(4, 4, 1, None, False), nn.BatchNorm2d(4),
            [*branches.values()], (1, 1))
