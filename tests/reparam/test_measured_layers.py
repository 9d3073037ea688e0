import copy
import pickle

import pytest
import torch
from mmcv.cnn.bricks.wrappers import Conv2d as MmcvConv2d
from torch import nn

from mmcls_repmlp import RepMLPNet, fuse_for_inference
from mmcls_repmlp.models.repmlpnet.repmlpnet import PatchEmbed
from mmcls_repmlp.reparam import measured_layers
from mmcls_repmlp.reparam.measured_layers import (MeasuredConv, MeasuredFC,
                                                  MeasuredPointwise,
                                                  pack_convolution)
from tests.helpers import TINY_CFG, assert_same, random_model

LAYERS = {
    'fc': (lambda: MeasuredFC((torch.randn(24, 6), torch.randn(24))),
           (5, 4, 6)),
    'one_fc': (lambda: MeasuredFC((torch.randn(6, 6), torch.randn(6))),
               (70, 1, 6)),
    'pointwise': (lambda: MeasuredPointwise(
        (torch.randn(7, 5, 1, 1), torch.randn(7))), (3, 5, 4, 2)),
    'gelu': (lambda: MeasuredPointwise(
        (torch.randn(7, 5, 1, 1), torch.randn(7)), gelu=True), (3, 5, 4, 2)),
    'conv': (lambda: MeasuredConv(
        nn.Conv2d(6, 8, (3, 2), (2, 1), (1, 0), (1, 2), groups=2),
        (torch.randn(8, 3, 3, 2), torch.randn(8)), relu=True), (2, 6, 9, 7)),
    'mmcv': (lambda: MeasuredConv(
        MmcvConv2d(3, 4, 2), (torch.randn(4, 3, 2, 2), torch.randn(4)),
        relu=False), (2, 3, 4, 4)),
}  # yapf: disable


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch):
    monkeypatch.setattr(measured_layers, '_FASTEST', {})


@pytest.fixture
def prefer(monkeypatch):
    """Let a formulation win, whatever the clock says."""

    def set_winner(name):
        monkeypatch.setattr(measured_layers, '_fastest', lambda runs, x: name
                            if name in runs else 'plain')

    return set_winner


@pytest.mark.parametrize('name', LAYERS)
def test_all_formulations_compute_the_same(name):
    torch.manual_seed(0)
    build, shape = LAYERS[name]
    layer, x = build(), torch.randn(shape)
    wide = copy.deepcopy(layer).double()
    expected = wide(x.double())
    wide(x.double())
    assert not wide.choices  # only float32 is timed
    builders = layer.formulations(x)
    assert {'plain', 'packed'} <= {*builders}
    for formulation, start in builders.items():
        assert_same(start()(x).double(), expected, 1e-5)
        assert start()(x).is_contiguous() or formulation != 'packed' or (
            x.dim() == 4)
    assert_same(layer(x).double(), expected, 1e-5)


@pytest.mark.parametrize('name', LAYERS)
@pytest.mark.parametrize('winner', ['packed', 'plain'])
def test_the_fastest_is_kept_and_said(name, winner, prefer):
    prefer(winner)
    build, shape = LAYERS[name]
    layer, x = build(), torch.randn(shape)
    layer(x)
    assert not layer.choices  # a single call does not pay for it
    second = layer(x)
    assert layer.choices == {shape: winner}
    assert torch.equal(layer(x), second)


def test_copies_pickles_and_casts_have_the_weights_alone(prefer):
    prefer('packed')
    layer, x = LAYERS['conv'][0](), torch.randn(2, 6, 9, 7)
    layer(x)
    expected = layer(x)
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert layer.choices and not again.choices
        assert_same(again(x), expected, 1e-6)
        assert {*again.state_dict()} == {'conv.weight', 'conv.bias'}
    assert not layer.double().choices


def test_changed_weights_are_packed_anew(prefer):
    prefer('packed')
    layer, x = LAYERS['gelu'][0](), torch.randn(3, 5, 4, 2)
    for _ in range(2):
        for _ in range(3):
            assert_same(layer(x), layer.plain(x), 1e-5)
        layer.weight.mul_(2.)
        layer.bias.add_(1.)
    assert len(layer.choices) == 1  # what was packed before is gone


@pytest.mark.parametrize('fault', [AttributeError, RuntimeError, None])
def test_operators_that_fail_or_differ_are_not_used(monkeypatch, prefer,
                                                    fault):
    prefer('packed')

    def pack(*args, **kwargs):
        if fault:
            raise fault('no such operator')
        packed = pack_convolution(*args, **kwargs)
        return lambda x: packed(x) * (1 + 1e-3)

    monkeypatch.setattr(measured_layers, 'pack_convolution', pack)
    for build, shape in LAYERS.values():
        layer, x = build(), torch.randn(shape)
        for _ in range(2):
            assert_same(layer(x), layer.plain(x), 1e-6)
        assert [*layer.choices.values()] == ['plain']


def test_numbers_that_are_not_finite_stay():
    for build, shape in LAYERS.values():
        layer, x = build(), torch.full(shape, float('nan'))
        for _ in range(3):
            assert torch.equal(layer(x).isnan(), layer.plain(x).isnan())


def test_one_shape_is_timed_once(monkeypatch):
    timed = []
    real = measured_layers._fastest
    monkeypatch.setattr(measured_layers, '_fastest',
                        lambda runs, x: timed.append(x.shape) or real(runs, x))
    for layer in (LAYERS['fc'][0](), LAYERS['fc'][0]()):
        for rows in (5, 5, 6, 6, 7):
            layer(torch.randn(rows, 4, 6))
    assert timed == [(5, 4, 6), (6, 4, 6)]


def test_many_shapes_do_not_take_ever_more_memory(prefer):
    prefer('packed')
    layer = LAYERS['fc'][0]()
    for rows in range(1, 9):
        for _ in range(3):
            x = torch.randn(rows, 4, 6)
            assert_same(layer(x), layer.plain(x), 1e-5)
    assert [shape[0] for shape in layer.choices] == [1, 2, 3, 4]


def test_the_slow_are_timed_once_and_the_least_wins(monkeypatch):
    clock, calls = [0.], []
    costs = dict(plain=1.05, packed=1., slow=3., rows=1.015)

    def run_of(name):

        def run(x):
            calls.append(name)
            clock[0] += costs[name]

        return run

    monkeypatch.setattr(measured_layers.time, 'perf_counter', lambda: clock[0])
    found = measured_layers._fastest({name: run_of(name) for name in costs}, 0)
    assert found == 'rows'  # packing must gain more than this
    assert calls.count('slow') == 1 and calls.count('rows') > 3


def test_where_nothing_is_timed():
    layer, x = LAYERS['pointwise'][0](), torch.randn(3, 5, 4, 2)
    for _ in range(3):
        layer(x.requires_grad_()).sum().backward()
        with torch.autocast('cpu', torch.bfloat16):
            layer(x.detach())
        layer(x.detach()[:0])
    torch.jit.trace(layer, x.detach(), check_trace=False)
    torch.export.export(layer, (x.detach(), ))
    assert not layer.choices
    with torch.inference_mode():
        assert_same(copy.deepcopy(layer)(x), layer.plain(x), 1e-5)


def test_a_network_can_be_timed_when_it_is_fused():
    model = random_model(RepMLPNet, **TINY_CFG).float()
    images = torch.rand(2, 3, 32, 32)
    fused = fuse_for_inference(model, images)
    names = {name.rsplit('.', 1)[1] for name in fused.choices}
    assert names == {'conv', 'fc3', 'ffn1', 'ffn2'}
    assert all(len(found) == 1 for found in fused.choices.values())
    assert_same(fused(images)[0], model(images)[0], 1e-4)
    assert isinstance(model.patch_embed, PatchEmbed)
    for _ in range(2):
        fused(images[:1])
    assert all(len(found) == 2 for found in fused.choices.values())
