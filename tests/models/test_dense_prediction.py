"""RepMLPNet as a backbone for dense prediction: the pyramid of large images.

The whole is compared with its tiles, each run alone as an image.
"""
import pytest
import torch
from torch import nn

from mmcls_repmlp import RepMLPNet, fuse_for_inference, reparameterize
from mmcls_repmlp.models.repmlpnet.repmlp_block import GlobalPerceptron
from tests.helpers import assert_same, randn, random_model

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


def shapes(outs):
    return [tuple(out.shape) for out in outs]


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
        for gate in model.modules():
            if isinstance(gate, GlobalPerceptron):
                gate.conv2.conv.weight.zero_()
    model = form(model)
    rows = [zip(*map(model, band.chunk(COLS, 3))) for band in x.chunk(ROWS, 2)]
    joined = [
        torch.cat([torch.cat(tiles, 3) for tiles in column], 2)
        for column in zip(*rows)
    ]
    assert_same(joined, model(x), 1e-10)


@pytest.mark.parametrize('after', [False, True])
@pytest.mark.parametrize('size', [(40, 97), (1, 1), (32, 64)])
def test_padding_equals_padded_images_with_their_maps_cropped(
        form, tile, size, after):
    x, cfg = randn(2, 3, *size), dict(
        img_size=tile, out_after_downsample=after)
    padded = nn.functional.pad(x, (0, -size[1] % tile[1], 0, -size[0] % 32))
    strides = (*STRIDES[1:], 32) if after else STRIDES
    expected = [
        out[..., :-(-size[0] // stride), :-(-size[1] // stride)]
        for out, stride in zip(form(net(**cfg))(padded), strides)
    ]
    outs = form(net(pad_to_multiple=True, **cfg))(x)
    assert shapes(outs) == shapes(expected)
    assert_same(outs, expected, 0)


def test_padded_images_train():
    model = net(pad_to_multiple=True, with_cp=True).train()
    x = randn(2, 3, 40, 70).requires_grad_()
    sum((out * randn(*out.shape)).sum() for out in model(x)).backward()
    assert all(p.grad is not None for p in model.parameters())
    assert (x.grad != 0).all()
