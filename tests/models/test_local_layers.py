import copy
import pickle
from itertools import product

import pytest
import torch
from torch import nn

from mmcls_repmlp.models.local_layers import (LocalConv1d, LocalLinear,
                                              add_convolutions)
from tests.helpers import assert_same, randn, randomize


def linear(grid, kernels=(1, 3), bias=True, as_is=False):
    count = grid[0] * grid[1]
    layer = nn.Linear(count, count, bias=bias)
    add_convolutions(layer, grid, kernels, as_is)
    return randomize(layer).double().eval()


def grouped(grid, groups, kernels=(1, 3), bias=True, as_is=False):
    count = groups * grid[0] * grid[1]
    layer = nn.Conv1d(count, count, 1, groups=groups, bias=bias)
    add_convolutions(layer, grid, kernels, as_is)
    return randomize(layer).double().eval()


def by_loops(layer, rows):
    """Compute rows (M, S, Q) position by position."""
    (h, w), (_, s, q) = layer.grid, rows.shape
    matrices = layer.weight.reshape(s, q, q)
    biases = torch.zeros(s, q) if layer.bias is None else layer.bias.view(s, q)
    out = torch.zeros_like(rows)
    for g, y, x in product(range(s), range(h), range(w)):
        at = y * w + x
        out[:, g, at] = (rows[:, g] * matrices[g, at]).sum(1) + biases[g, at]
        for name in layer.training_only:
            kernel, norm = (getattr(layer, name).conv.weight[g, 0],
                            getattr(layer, name).norm)
            half, total = len(kernel) // 2, 0.
            for v, u in product(range(h), range(w)):
                if abs(v - y) <= half and abs(u - x) <= half:
                    entry = kernel[v - y + half, u - x + half]
                    total = total + entry * rows[:, g, v * w + u]
            scale = norm.weight[g] / torch.sqrt(norm.running_var[g] + norm.eps)
            out[:, g, at] += (total - norm.running_mean[g]) * scale
            out[:, g, at] += norm.bias[g]
    return out


GRIDS = [((4, 4), (1, 3)), ((5, 3), (3, )), ((2, 6), (1, 3, 5)),
         ((3, 2), (7, )), ((1, 5), (1, 3))]


@pytest.mark.parametrize(('grid', 'kernels'), GRIDS)
@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.filterwarnings('ignore:a layer without a bias')
def test_a_linear_layer_computes_what_loops_do(grid, kernels, bias):
    layer = linear(grid, kernels, bias)
    x = randn(2, 3, grid[0] * grid[1])
    expected = by_loops(layer, x.reshape(6, 1, -1)).view_as(x)
    assert_same(layer(x), expected, 1e-12)
    layer.switch_to_deploy()
    assert type(layer) is nn.Linear
    assert_same(layer(x), expected, 1e-12)


@pytest.mark.parametrize(('grid', 'kernels'), GRIDS)
@pytest.mark.parametrize('groups', [1, 3])
def test_a_grouped_layer_computes_what_loops_do(grid, kernels, groups):
    layer, count = grouped(grid, groups, kernels), grid[0] * grid[1]
    x = randn(2, groups * count, 5)
    rows = x.view(2, groups, count, 5).permute(0, 3, 1, 2)
    expected = by_loops(layer, rows.reshape(10, groups, count))
    expected = expected.view(2, 5, groups, count).permute(0, 2, 3, 1)
    expected = expected.reshape(x.shape)
    assert_same(layer(x), expected, 1e-12)
    layer.switch_to_deploy()
    assert type(layer) is nn.Conv1d
    assert_same(layer(x), expected, 1e-12)


@pytest.mark.parametrize('build', [linear, lambda g, **o: grouped(g, 2, **o)])
def test_names_and_attributes_are_those_of_before(build):
    grid = (4, 3)
    layer = build(grid)
    plain = copy.deepcopy(layer)
    plain.switch_to_deploy()
    fresh = type(plain)(
        *(len(plain.weight), ) * 2, *[1] * isinstance(plain, nn.Conv1d),
        **dict(groups=2) if isinstance(plain, nn.Conv1d) else {}).double()
    assert vars(plain).keys() == vars(fresh).keys()
    assert repr(plain) == repr(fresh)
    fresh.load_state_dict(plain.state_dict())
    assert layer.state_dict().keys() - plain.state_dict().keys() == {
        f'repconv{k}.{name}'
        for k in (1, 3)
        for name in ('conv.weight', 'bn.weight', 'bn.bias', 'bn.running_mean',
                     'bn.running_var', 'bn.num_batches_tracked')
    }
    for branch in (layer.repconv1, layer.repconv3):
        assert branch.norm.num_features == len(
            branch.conv.weight) == (2 if isinstance(plain, nn.Conv1d) else 1)


def test_as_is_means_bit_for_bit_and_gradients_flow():
    torch.manual_seed(0)
    for kind, x in ((nn.Linear(12, 12), randn(2, 5, 12)),
                    (nn.Conv1d(24, 24, 1, groups=2), randn(2, 24, 5))):
        layer = kind.double()
        before = layer(x)
        add_convolutions(layer, (3, 4), (1, 3), True)
        for mode in (True, False):
            assert torch.equal(layer.train(mode)(x), before)
        layer(x).square().sum().backward()
        assert layer.repconv3.norm.weight.grad.abs().min() > 0
        assert layer.weight.grad is not None


def test_a_checkpoint_of_the_original_loads():
    layer = linear((3, 4))
    plain = nn.Linear(12, 12).double()
    missing, unexpected = layer.load_state_dict(plain.state_dict(), False)
    assert not unexpected and {key.split('.')[0]
                               for key in missing} == {'repconv1', 'repconv3'}
    assert torch.equal(layer.weight, plain.weight)
    layer.load_state_dict(linear((3, 4)).state_dict())  # strictly


def test_a_bias_comes_by_merging_and_is_said():
    layer = linear((2, 2), bias=False)
    with pytest.warns(UserWarning, match='without a bias has one now'):
        layer.switch_to_deploy()
    assert layer.bias.shape == (4, )


@pytest.mark.parametrize('shape', [(0, 3, 12), (2, 0, 12)])
def test_empty_batches(shape):
    for mode in (True, False):
        assert linear((3, 4)).train(mode)(randn(*shape)).shape == shape


def test_one_image_without_a_batch():
    layer, x = linear((3, 4)), randn(5, 12)
    assert_same(layer(x), layer(x[None])[0], 1e-12)
    layer, x = grouped((3, 4), 2), randn(1, 24, 5)
    assert_same(layer(x)[0], layer(x.expand(2, -1, -1))[1], 1e-12)


def test_half_precision_is_merged_in_float64():
    layer = linear((3, 4)).half()
    x = torch.rand(2, 5, 12)
    expected = copy.deepcopy(layer).double()(x.double())
    layer.switch_to_deploy()
    assert layer.weight.dtype == torch.float16
    assert_same(layer.double()(x.double()), expected, 3e-3)


@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')
def test_copies_pickles_and_graphs():
    layer, x = linear((3, 4)), randn(2, 5, 12)
    expected = layer(x)
    assert_same(copy.deepcopy(layer)(x), expected, 0)
    assert_same(pickle.loads(pickle.dumps(layer))(x), expected, 0)
    assert_same(torch.export.export(layer, (x, )).module()(x), expected, 1e-12)
    assert_same(torch.jit.trace(layer, x)(x), expected, 1e-12)
    compiled = torch.compile(layer, backend='eager')
    assert_same(compiled(x), expected, 1e-12)


def test_a_merge_that_cannot_be_changes_nothing():
    layer = linear((3, 4))
    layer.repconv3.norm.running_var.fill_(float('nan'))
    with pytest.raises(ValueError, match='would not be finite'):
        layer.switch_to_deploy()
    assert type(layer) is LocalLinear and hasattr(layer, 'repconv1')
    layer = grouped((2, 2), 2)
    nn.utils.prune.l1_unstructured(layer, 'weight', 0.5)
    with pytest.raises(ValueError, match='weight is computed'):
        layer.switch_to_deploy()
    assert type(layer) is LocalConv1d
