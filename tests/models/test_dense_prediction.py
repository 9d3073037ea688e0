"""RepMLPNet as a backbone for dense prediction: the pyramid of large images.

The whole is compared with its tiles, each run alone as an image.
"""
import itertools

import pytest
import torch
from torch import nn

from mmcls_repmlp import RepMLPNet, fuse_for_inference, reparameterize
from mmcls_repmlp.models.repmlpnet.repmlp_block import GlobalPerceptron
from tests.helpers import TINY, assert_same, randn, random_model

ARCH = dict(
    channels=(8, 16, 16, 32),
    depths=(1, 2, 1, 1),
    sharesets_nums=(1, 4, 8, 32))
STRIDES = (4, 8, 16, 32)
# Twice as many tiles across as down, as in 512x1024.
ROWS, COLS = 2, 4
FORMS = dict(
    training=lambda model: model,
    deploy=reparameterize,
    fused=fuse_for_inference)


@pytest.fixture(params=FORMS.values(), ids=FORMS)
def form(request):
    return request.param


@pytest.fixture(params=[(32, 32), (32, 64)], ids=['square', 'rectangular'])
def tile(request):
    return request.param


def net(**cfg):
    defaults = dict(arch=ARCH, img_size=32, out_indices=(0, 1, 2, 3))
    return random_model(RepMLPNet, **{**defaults, **cfg})


def gates(model):
    return [m for m in model.modules() if isinstance(m, GlobalPerceptron)]


def shapes(outs):
    return [tuple(out.shape) for out in outs]


def cut(maps):
    """The tiles of maps, row by row: (N, C, h, w) each."""
    return [
        part for band in maps.chunk(ROWS, 2) for part in band.chunk(COLS, 3)
    ]


def join(tiles):
    return torch.cat([
        torch.cat(tiles[row * COLS:(row + 1) * COLS], 3) for row in range(ROWS)
    ], 2)


def images(tile, n=2):
    return randn(n, 3, ROWS * tile[0], COLS * tile[1])


def test_pyramid_in_every_form(form, tile):
    x = images(tile)
    outs = form(net(img_size=[*tile]))(x)  # config files give lists
    assert shapes(outs) == [(2, c, x.shape[2] // s, x.shape[3] // s)
                            for c, s in zip(ARCH['channels'], STRIDES)]
    assert_same(outs, net(img_size=tile)(x), 1e-10)


def test_tiles_alone_equal_the_whole_where_the_gate_is_constant(form, tile):
    model, x = net(img_size=tile), images(tile)
    with torch.no_grad():
        for gate in gates(model):
            gate.conv2.conv.weight.zero_()
    model = form(model)
    assert_same([join(parts) for parts in zip(*map(model, cut(x)))], model(x),
                1e-10)


@pytest.mark.parametrize('merge', [FORMS['training'], FORMS['deploy']])
def test_tiles_with_the_gate_of_the_whole_equal_the_whole(merge, tile):
    model, x, values = merge(net(img_size=tile)), images(tile), []
    recording = [
        gate.register_forward_hook(lambda *call: values.append(call[-1]))
        for gate in gates(model)
    ]
    whole = model(x)
    assert len(values) == len(recording) == sum(ARCH['depths'])
    again = itertools.cycle(values)
    for hook, gate in zip(recording, gates(model)):
        hook.remove()
        gate.register_forward_hook(lambda *call: next(again))
    assert_same([join(parts) for parts in zip(*map(model, cut(x)))], whole)


@pytest.mark.parametrize('size', [(40, 97), (1, 1), (32, 64)])
def test_padding_equals_padded_images_with_their_maps_cropped(form, size):
    x = randn(2, 3, *size)
    padded = nn.functional.pad(x, (0, -size[1] % 32, 0, -size[0] % 32))
    expected = [
        out[..., :-(-size[0] // stride), :-(-size[1] // stride)]
        for out, stride in zip(form(net())(padded), STRIDES)
    ]
    outs = form(net(pad_to_multiple=True))(x)
    assert shapes(outs) == shapes(expected)
    assert_same(outs, expected, 0)


def test_padding_is_to_rectangles_and_follows_the_downsampling(form):
    cfg = dict(img_size=(32, 64), out_after_downsample=True)
    outs = form(net(pad_to_multiple=True, **cfg))(randn(1, 3, 33, 70))
    assert shapes(outs) == [(1, 16, 5, 9), (1, 16, 3, 5), (1, 32, 2, 3),
                            (1, 32, 2, 3)]


def test_padding_needs_a_size_whose_multiples_fit():
    with pytest.raises(ValueError, match='pad_to_multiple.*got .38, 38'):
        RepMLPNet(TINY, img_size=38, pad_to_multiple=True)


@pytest.mark.parametrize('with_cp', [False, True])
def test_padded_images_train(with_cp):
    model = net(pad_to_multiple=True, with_cp=with_cp).train()
    x = randn(2, 3, 40, 70).requires_grad_()
    sum((out * randn(*out.shape)).sum() for out in model(x)).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert (x.grad != 0).all()


def test_exported_graph_pads_a_fixed_size():
    arch = dict(channels=(8, ), depths=(1, ), sharesets_nums=(4, ))
    model = fuse_for_inference(
        net(arch=arch, out_indices=0, pad_to_multiple=True))
    batch = torch.export.Dim('batch', min=1, max=64)
    with torch.no_grad():
        program = torch.export.export(
            model, (randn(2, 3, 40, 50), ), dynamic_shapes=({
                0: batch
            }, ))
    for n in (1, 3):
        x = randn(n, 3, 40, 50, seed=n)
        assert_same(program.module()(x), model(x), 1e-10)
