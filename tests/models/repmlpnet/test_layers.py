import pytest
import torch

from mmcls_repmlp.models.repmlpnet.layers import (ConvFFN, GlobalPerceptron,
                                                  PatchEmbed)
from tests.helpers import assert_same, randn, randomize


def test_patch_embedding_is_conv_norm_relu():
    embed = PatchEmbed(3, 8, kernel_size=4, stride=4, norm_cfg=dict(type='BN'))
    randomize(embed).double().eval()
    x = randn(2, 3, 8, 12)
    out = embed(x)
    assert out.shape == (2, 8, 2, 3)
    assert_same(out, embed.norm(embed.projection(x)).relu())


@pytest.mark.parametrize(('divisor', 'width'), [(8, 24), (1, 20)])
def test_width_of_the_gate(divisor, width):
    gate = GlobalPerceptron(80, ratio=4, divisor=divisor).double()
    assert gate.conv1.conv.out_channels == width
    x = randn(2, 80, 3, 3)
    hidden = gate.conv1.conv(x.mean((2, 3), keepdim=True)).relu()
    assert_same(gate(x), gate.conv2.conv(hidden).sigmoid())


def test_ffn_works_on_every_position_alone():
    ffn = randomize(ConvFFN(4, 16)).double().eval()
    x = randn(2, 4, 3, 3)
    assert_same(ffn(x)[..., 1:2, 2:3], ffn(x[..., 1:2, 2:3]))
    assert ffn.ffn_fc1.conv.out_channels == 16


@pytest.mark.parametrize(('dtype', 'rtol'), [(torch.float64, 1e-12),
                                             (torch.float32, 2e-5),
                                             (torch.bfloat16, 5e-2)])
@pytest.mark.parametrize('size', [(1, 1), (3, 5)])
def test_folded_for_inference_the_ffn_gives_the_same(dtype, rtol, size):
    ffn = randomize(ConvFFN(4, 16)).double().eval()
    x = randn(2, 4, *size)
    expected = ffn(x)
    ffn.to(dtype)
    with torch.no_grad():
        assert_same(ffn(x.to(dtype)).double(), expected, rtol)


def test_norms_are_folded_only_where_that_repays_and_is_right():

    def repays(x=None, **cfg):
        ffn = ConvFFN(4, 16, **cfg).double().eval()
        return ffn.repays_folding(randn(2, 4, 2, 2) if x is None else x)

    assert not repays()
    with torch.no_grad():
        assert repays()
        assert not repays(randn(1, 4, 2, 2)[..., :1])
        assert not repays(norm_cfg=dict(type='GN', num_groups=2))
        assert not repays(conv_cfg=dict(type='ConvWS'))
        assert not ConvFFN(4, 16).train().repays_folding(randn(2, 4, 2, 2))
