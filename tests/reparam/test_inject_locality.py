import copy
import warnings

import pytest
import torch
from torch import nn

from mmcls_repmlp import inject_locality, reparameterize
from tests.helpers import assert_same, randn, randomize


class ResBlock(nn.Module):
    """As timm's ResMLP: tokens are mixed after a transposition."""

    def __init__(self, tokens, width):
        super().__init__()
        self.linear_tokens = nn.Linear(tokens, tokens)
        self.mlp = nn.Linear(width, width)

    def forward(self, x):
        x = x + self.linear_tokens(x.transpose(1, 2)).transpose(1, 2)
        return x + self.mlp(x).tanh()


class SpatialGatingUnit(nn.Module):
    """As timm's gMLP."""

    def __init__(self, tokens):
        super().__init__()
        self.proj = nn.Linear(tokens, tokens)

    def forward(self, x):
        u, v = x.chunk(2, -1)
        return u * self.proj(v.transpose(1, 2)).transpose(1, 2)


class SwinMLPBlock(nn.Module):
    """As Swin-MLP: windows of positions, a matrix for each head."""

    def __init__(self, heads=3, window_size=2):
        super().__init__()
        self.window_size, self.heads = window_size, heads
        count = heads * window_size**2
        self.spatial_mlp = nn.Conv1d(count, count, 1, groups=heads)

    def forward(self, x):  # (windows, positions, channels)
        n, q, c = x.shape
        heads = x.view(n, q, self.heads, -1).transpose(1, 2)
        out = self.spatial_mlp(heads.reshape(n, self.heads * q, -1))
        return out.view(n, self.heads, q, -1).transpose(1, 2).reshape(n, q, c)


class MixerBlock(nn.Module):

    def __init__(self):
        super().__init__()
        self.mlp_tokens = nn.Sequential(
            nn.Linear(9, 4), nn.GELU(), nn.Linear(4, 9))


class Grid(nn.Module):
    grid_size = (2, 6)


NETWORKS = dict(
    resmlp=(lambda: nn.Sequential(ResBlock(12, 8), ResBlock(12, 8), Grid()),
            (2, 12, 8), ['0.linear_tokens', '1.linear_tokens'], (2, 6)),
    square=(lambda: nn.Sequential(ResBlock(9, 8)), (2, 9, 8),
            ['0.linear_tokens'], (3, 3)),
    gmlp=(lambda: SpatialGatingUnit(16), (2, 16, 10), ['proj'], (4, 4)),
    swin=(lambda: SwinMLPBlock(), (6, 4, 9), ['spatial_mlp'], (2, 2)))
Grid.forward = lambda self, x: x


@pytest.mark.parametrize('name', NETWORKS)
def test_networks_of_others_go_and_come_back(name):
    build, shape, layers, grid = NETWORKS[name]
    torch.manual_seed(0)
    original, x = build().double(), randn(*shape)
    before = original(x)
    model = inject_locality(original)
    assert torch.equal(model(x), before)  # bit for bit
    assert not [key for key in original.state_dict() if 'repconv' in key]
    injected = [key for key in model.state_dict() if 'repconv3.conv' in key]
    assert injected == [f'{layer}.repconv3.conv.weight' for layer in layers]
    assert all(model.get_submodule(layer).grid == grid for layer in layers)
    trained = train_a_little(model, x)
    expected = trained(x)
    assert (expected - before).abs().max() > 1e-3
    merged = reparameterize(trained)
    assert_same(merged(x), expected, 1e-12)
    fresh = build().double()
    fresh.load_state_dict(merged.state_dict())  # strictly
    assert_same(fresh(x), expected, 1e-12)
    assert [type(m)
            for m in merged.modules()] == [type(m) for m in fresh.modules()]


def train_a_little(model, x, steps=3):
    """Train a few steps, then randomise the norms' statistics."""
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        model.train()(x).square().mean().backward()
        optimizer.step()
    return randomize(model).eval()


def test_layers_are_named_by_patterns():
    mix = nn.ModuleDict(dict(mix=nn.Linear(15, 15), rest=nn.Linear(15, 15)))
    model = nn.ModuleDict(
        dict(blocks=nn.ModuleList([mix, copy.deepcopy(mix)])))
    found = inject_locality(model, (3, ), {'blocks.*.mix': (5, 3)}, 'random')
    kinds = {name: type(module).__name__
             for name, module in found.named_modules()}  # yapf: disable
    assert kinds['blocks.0.mix'] == kinds['blocks.1.mix'] == 'LocalLinear'
    assert kinds['blocks.0.rest'] == 'Linear'
    assert found.blocks[0].mix.repconv3.norm.weight.item() == 1.
    inplace = inject_locality(model, (3, ), {'blocks.0.mix': (5, 3)},
                              inplace=True)  # yapf: disable
    assert inplace is model and hasattr(model.blocks[0].mix, 'repconv3')


@pytest.mark.parametrize(('layer', 'grid', 'reason'), [
    (nn.Linear(9, 4), 3, 'it maps 9 positions to 4, and only a layer of as'),
    (nn.Linear(10, 10), 3, 'not a grid of 3x3 .a class token is no position'),
    (nn.Linear(12, 12), 3, '12 positions are not a grid of 3x3$'),
    (nn.Conv1d(9, 9, 3, padding=1), 3, 'more than one position of its own'),
    (nn.Conv2d(9, 9, 1), 3, 'of class Conv2d, not Linear or Conv1d itself'),
    (nn.GELU(), 3, 'of class GELU'),
    (nn.utils.parametrizations.weight_norm(nn.Linear(
        9, 9)), 3, 'of class ParametrizedLinear'),
    (nn.utils.prune.l1_unstructured(nn.Linear(9, 9), 'weight',
                                    0.5), 3, 'its weight is computed'),
    (inject_locality(nn.Linear(9, 9), layers={'': 3}), 3, 'has some already'),
])
def test_what_cannot_take_in_convolutions_is_refused(layer, grid, reason):
    model = nn.ModuleDict(dict(first=nn.Linear(9, 9), second=layer))
    words = f'second cannot take in convolutions: .*{reason}'
    with pytest.raises(ValueError, match=words):
        inject_locality(model, layers=dict(first=3, second=grid),
                        inplace=True)  # yapf: disable
    assert type(model.first) is nn.Linear  # all or none


@pytest.mark.parametrize(('model', 'options', 'words'), [
    (MixerBlock(), {}, 'MixerBlock|two layers with an activation between'),
    (nn.Sequential(MixerBlock()), {}, '^0 mixes positions by two layers with'),
    (nn.Linear(4, 4), {}, "no layer of Linear is recognised .* layers={'bl"),
    (nn.Sequential(ResBlock(12, 4)), {}, "12 positions, .* no square grid: .*"
     "layers={'0.linear_tokens': "),
    (nn.Linear(4, 4), dict(layers={'a.*': 2}), "no module has a name like 'a"),
    (nn.Linear(4, 4), dict(layers={}), 'layers names no layer'),
    (nn.Linear(4, 4), dict(layers={'': 2}, kernels=(2, )), 'odd positive'),
    (nn.Linear(4, 4), dict(layers={'': 2}, kernels=()), 'at least one odd'),
    (nn.Linear(4, 4), dict(layers={'': 2}, start='zero'), "got 'zero'"),
    (nn.Linear(4, 4), dict(layers={'': 0}), 'grid of'),
])
def test_requests_that_make_no_sense(model, options, words):
    with pytest.raises(ValueError, match=words):
        inject_locality(model, **options)


def test_parts_merge_one_by_one_as_timm_merges_them():
    # Its reparameterize_model calls the first of these that a child has.
    model = randomize(
        inject_locality(nn.Sequential(ResBlock(9, 4)),
                        start='random')).double().eval()
    x = randn(2, 9, 4)
    expected = model(x)

    def merge(module):
        for child in module.children():
            for name in ('fuse', 'reparameterize', 'switch_to_deploy'):
                if hasattr(child, name):
                    getattr(child, name)()
                    break
            merge(child)

    with warnings.catch_warnings():
        warnings.simplefilter('error')
        merge(model)
    assert type(model[0].linear_tokens) is nn.Linear
    assert_same(model(x), expected, 1e-12)


def test_averaged_copies_and_shared_layers():
    block = ResBlock(9, 4).double()
    model = inject_locality(nn.Sequential(block, block), start='random')
    averaged = torch.optim.swa_utils.AveragedModel(randomize(model).eval())
    x = randn(2, 9, 4)
    expected = averaged.eval()(x)
    assert_same(reparameterize(averaged.module)(x), expected, 1e-12)
