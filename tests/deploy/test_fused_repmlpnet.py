import pytest
from torch import nn

from mmcls_repmlp import RepMLPNet
from mmcls_repmlp.deploy.fused_repmlpnet import FusedRepMLPNet
from tests.helpers import TINY_CFG, assert_same, randn, random_model


def net(**cfg):
    return random_model(RepMLPNet, **{**TINY_CFG, **cfg})


@pytest.mark.parametrize('deploy', [False, True])
@pytest.mark.parametrize(
    'cfg', [{},
            dict(final_norm=False),
            dict(img_size=(32, 16)),
            dict(out_indices=(0, 1, 2)),
            dict(out_indices=(0, 1, 2), out_after_downsample=True),
            dict(patch_cfg=dict(kernel_size=7, padding=3)),
            dict(reparam_conv_kernels=None),
            dict(img_size=38),
            dict(conv_cfg=dict(type='Conv2dAdaptivePadding'))])
def test_backbone_gives_the_same_maps(deploy, cfg):
    model = net(**cfg)
    if deploy:
        model.switch_to_deploy()
    fused = FusedRepMLPNet(model)
    x = randn(3, 3, *model.img_size)
    assert_same(fused(x), model(x), 1e-10)


def test_the_last_norm_may_be_left_to_what_follows():
    model = net()
    x = randn(2, 3, 32, 32)
    map_, = FusedRepMLPNet(model, final_norm=False)(x)
    assert_same(model.final_norm(map_), model(x)[0], 1e-10)


def test_images_of_a_wrong_size_are_refused_as_by_the_model():
    with pytest.raises(ValueError, match='40x32 do not fit img_size=32x32'):
        FusedRepMLPNet(net())(randn(1, 3, 40, 32))


def test_other_norms_are_refused():
    model = net()
    model.stages[1][0].norm2 = nn.GroupNorm(1, 16).double()
    with pytest.raises(ValueError, match='norm2 is normalised by GroupNorm'):
        FusedRepMLPNet(model)


def test_convolutions_that_cannot_be_folded_are_refused():
    with pytest.raises(ValueError, match='ConvWS.*patch_embed'):
        FusedRepMLPNet(net(patch_cfg=dict(conv_type='ConvWS')))
