import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from mmcls_repmlp import RepMLP, RepMLPResNet, reparameterize
from mmcls_repmlp.checkpoints.official import REPMLP_RESNET
from mmcls_repmlp.models.repmlp.repmlp_resnet_blocks import BaseBlock
from mmcls_repmlp.reparam import complexity
from tests.helpers import (DATA, TINY_RESNET_CFG, assert_equals_official,
                           assert_same, randn, random_model, shapes)

KINDS = ('base', 'light', 'bottleneck')


def net(**cfg):
    return random_model(RepMLPResNet, **{**TINY_RESNET_CFG, **cfg})


def test_the_base_is_resnet50():
    # Counted by torchvision and timm alike; the deploy form has no norms.
    with torch.device('meta'):
        model = RepMLPResNet(block='base')
    head = model.channels[-1] * 1000
    for params in (25.557, 25.530):
        counts = complexity(model, (3, *model.img_size))
        assert round((counts.params + head + 1000) / 1e6, 3) == params
        assert round((counts.macs + head) / 1e9, 3) == 4.089
        model.switch_to_deploy()


@pytest.mark.parametrize('block', KINDS)
def test_which_blocks_hold_a_repmlp(block):
    model = net(block=block, depth=(2, 2, 2))
    kinds = [[type(b) is BaseBlock for b in stage] for stage in model.stages]
    held = block == 'base'
    assert kinds == [[True, True], [True, held], [True, held]]


def test_numbers_per_stage():
    model = net(
        block='bottleneck',
        num_groups=(1, 2),
        reduction=[1, 2],
        img_size=(64, 96))
    first, second = [m for m in model.modules() if isinstance(m, RepMLP)]
    assert (first.num_groups, second.num_groups) == (1, 2)
    assert (first.in_channels, second.in_channels) == (8, 8)
    assert first.input_size == (8, 12) and second.input_size == (4, 6)


@pytest.mark.parametrize('deploy', [False, True])
@pytest.mark.parametrize('block', ['light', 'bottleneck'])
def test_equals_the_official_code(block, deploy):
    oracle = torch.load(DATA / f'repmlp_resnet_{block}.pt', weights_only=True)
    cfg = oracle['config']
    model = RepMLPResNet(
        cfg['num_blocks'],
        cfg['block_type'], (cfg['img_H'], cfg['img_W']),
        base_channels=cfg['base_channels'],
        partition_size=(cfg['h'], cfg['w']),
        reparam_conv_kernels=cfg['reparam_conv_k'],
        globalperceptron_ratio=cfg['fc1_fc2_reduction'],
        num_groups=cfg['fc3_groups'])
    assert_equals_official(model, oracle, deploy, REPMLP_RESNET)


@pytest.mark.parametrize('block', KINDS)
@pytest.mark.parametrize('cfg', [
    dict(img_size=(40, 56)),
    dict(repmlp_stages=0, num_groups=2, reduction=2),
    dict(reparam_conv_kernels=None),
    dict(partition_size=(2, 5))
])
def test_merged_equals_unmerged(block, cfg):
    model = net(block=block, out_indices=(0, 1, 2), **cfg)
    merged, x = reparameterize(model), randn(2, 3, *model.img_size)
    assert_same(merged(x), model(x), 1e-10)
    assert not [m for m in merged.modules() if isinstance(m, _BatchNorm)]
    built = net(block=block, out_indices=(0, 1, 2), deploy=True, **cfg)
    assert shapes(built) == shapes(merged)
