import copy
import pickle

import pytest
import torch
from mmengine.runner.checkpoint import load_state_dict
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmcls_repmlp import RepMLP, RepMLPResNet
from mmcls_repmlp.checkpoints import convert_to_mmcls
from mmcls_repmlp.checkpoints.official import RESNET_NAMES
from mmcls_repmlp.deploy import complexity
from mmcls_repmlp.errors import CheckpointError
from mmcls_repmlp.host import BaseBackbone, build_backbone
from mmcls_repmlp.models.repmlp.repmlp_resnet_blocks import BaseBlock
from tests.helpers import (DATA, TINY_RESNET_CFG, assert_same, randn,
                           random_model)

KINDS = ('base', 'light', 'bottleneck')


def net(**cfg):
    return random_model(RepMLPResNet, **{**TINY_RESNET_CFG, **cfg})


def shapes(model):
    return {key: value.shape for key, value in model.state_dict().items()}


# ---------------------------------------------------------------- variants


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
    classifier = nn.ModuleDict(
        dict(
            backbone=model,
            head=nn.ModuleDict(
                dict(fc=nn.Linear(model.channels[-1], cfg['num_classes'])))))
    weights = convert_to_mmcls(oracle['state_dict'], RESNET_NAMES)
    assert [*weights] == [*classifier.state_dict()]
    classifier.load_state_dict(weights)
    classifier.double().eval()
    if deploy:
        model.switch_to_deploy()
    features, = model(oracle['input'].double())
    logits = classifier['head']['fc'](features.mean((2, 3)))
    assert_same(logits, oracle['output'])


# ------------------------------------------------------------------- forms


@pytest.mark.parametrize('block', KINDS)
@pytest.mark.parametrize('cfg',
                         [{},
                          dict(img_size=(40, 56)),
                          dict(repmlp_stages=0, num_groups=2, reduction=2),
                          dict(reparam_conv_kernels=None),
                          dict(partition_size=(2, 5)),
                          dict(conv_cfg=dict(type='Conv2dAdaptivePadding')),
                          dict(norm_cfg=dict(type='BN', eps=0.25))])
def test_merged_equals_unmerged(block, cfg):
    model = net(block=block, out_indices=(0, 1, 2), **cfg)
    x = randn(2, 3, *model.img_size)
    merged = copy.deepcopy(model)
    for _ in range(2):
        merged.switch_to_deploy()
        assert merged.deploy and not model.deploy
        assert_same(merged(x), model(x), 1e-10)
    assert not [m for m in merged.modules() if isinstance(m, _BatchNorm)]
    built = net(block=block, out_indices=(0, 1, 2), deploy=True, **cfg)
    assert built.deploy and shapes(built) == shapes(merged)
    built.switch_to_deploy()
    built.load_state_dict(merged.state_dict())
    assert_same(built(x), model(x), 1e-10)


@pytest.mark.parametrize(('dtype', 'rtol'), [(torch.float32, 1e-4),
                                             (torch.bfloat16, 0.2)])
def test_other_dtypes(dtype, rtol):
    model, x = net(), randn(2, 3, 64, 64)
    expected = model(x)[0]
    model.to(dtype).switch_to_deploy()
    assert {p.dtype for p in model.parameters()} == {dtype}
    assert_same(model(x.to(dtype))[0].double(), expected, rtol)


# ------------------------------------------------------------------- sizes


def test_in_channels():
    assert net(in_channels=1)(randn(1, 1, 64, 64))[0].shape == (1, 64, 4, 4)


@pytest.mark.parametrize('wrong', [
    dict(depth=18),
    dict(block='heavy'),
    dict(img_size=()),
    dict(partition_size=0),
    dict(num_groups=(1, 2, 3)),
    dict(num_groups=3),
    dict(repmlp_stages=3),
    dict(out_indices=3),
    dict(frozen_stages=3),
    dict(reparam_conv_kernels=(2, )),
    dict(drop_path_rate=1.),
    dict(globalperceptron_ratio=0),
    dict(base_channels=0),
    dict(block='bottleneck', reduction=(2, ))
])
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match=[*wrong][-1]):
        net(**wrong)


# ------------------------------------------------------- training features


def test_is_a_backbone_of_mmcls():
    assert issubclass(RepMLPResNet, BaseBackbone)
    built = build_backbone(dict(type='RepMLPResNet', **TINY_RESNET_CFG))
    assert type(built) is RepMLPResNet and built.train().training


@pytest.mark.parametrize('block', ['light', 'bottleneck'])
def test_a_training_step_reaches_every_parameter(block):
    model = net(block=block).train()
    model(randn(4, 3, 64, 64))[0].square().mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


def test_drop_path_rate_grows_over_the_blocks():
    model = net(drop_path_rate=0.4)
    rates = [b.drop_path.drop_prob for s in model.stages for b in s]
    assert rates == pytest.approx([0., 0.1, 0.2, 0.3, 0.4])


def test_weights_are_initialised_by_init_cfg():
    model = net(init_cfg=dict(type='Constant', layer='Conv2d', val=0.5))
    model.init_weights()
    assert (model.stage2[1].light_repmlp.fc3.weight == 0.5).all()


def test_copies_and_pickles():
    model, x = net(), randn(1, 3, 64, 64)
    assert_same(pickle.loads(pickle.dumps(model))(x), model(x), 0)


# -------------------------------------------------------- loading weights

@pytest.mark.parametrize(('wanted', 'given', 'message'), [
    (dict(deploy=True), {}, 'training form.*reparameterize_model.py'),
    ({}, dict(deploy=True), 'already converted.*reparameterize_model.py'),
    (dict(block='base', deploy=True), dict(block='base'), 'training form'),
    (dict(block='base'), dict(block='base', deploy=True),
     'already converted'),
    (dict(img_size=96, repmlp_stages=1), dict(repmlp_stages=1),
     'another image size: global'),
    (dict(num_groups=1), {}, 'another architecture.*groups'),
    (dict(depth=(1, 2, 3)), {}, 'architecture.*stage3.2'),
])  # yapf: disable
def test_what_does_not_fit_is_refused_and_nothing_is_loaded(
        wanted, given, message):
    model = nn.ModuleDict(dict(backbone=net(**wanted)))
    weights = {
        f'backbone.{key}': value + 1
        for key, value in net(**given).state_dict().items()
    }
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(CheckpointError, match=message):
        load_state_dict(model, weights)
    assert_same([*model.state_dict().values()], [*before.values()], 0)
