import copy
import itertools

import pytest
import torch
from mmcv.cnn.bricks.conv2d_adaptive_padding import Conv2dAdaptivePadding
from mmengine.runner.checkpoint import load_state_dict
from torch import nn

from mmcls_repmlp import RepMLPBlock
from mmcls_repmlp.errors import CheckpointError
from mmcls_repmlp.models import RepMLPNetUnit, partition_perceptron
from tests.helpers import assert_same, randn, random_model
from tests.host_parts import HostRepMLPBlock

C = 8
KERNELS = [None, (1, ), (3, ), (1, 3), (1, 3, 5)]
SIZES = [(4, 4), (3, 5), (1, 1)]


def block(size=(4, 4), sharesets=4, kernels=(1, 3), **cfg):
    return random_model(
        RepMLPBlock,
        channels=C,
        path_h=size[0],
        path_w=size[1],
        num_sharesets=sharesets,
        reparam_conv_kernels=kernels,
        **cfg)


@pytest.mark.parametrize(('size', 'sharesets', 'kernels'),
                         [*itertools.product(SIZES, (1, 2, C), KERNELS)])
def test_merged_equals_unmerged(size, sharesets, kernels):
    trained = block(size, sharesets, kernels)
    merged = copy.deepcopy(trained)
    merged.switch_to_deploy()
    assert merged.deploy and not trained.deploy
    for h, w in ((1, 1), (2, 3)):
        x = randn(2, C, h * size[0], w * size[1])
        assert_same(merged(x), trained(x))


@pytest.mark.parametrize(('size', 'kernels'),
                         [*itertools.product(((4, 4), (3, 5)), KERNELS[1:])])
@pytest.mark.parametrize('training', [True, False])
def test_equals_mmcls_with_gradients(size, kernels, training):
    ours = block(size, 4, kernels)
    theirs = random_model(
        HostRepMLPBlock,
        channels=C,
        path_h=size[0],
        path_w=size[1],
        num_sharesets=4,
        reparam_conv_kernels=kernels)
    theirs.load_state_dict(ours.state_dict())
    results = []
    for model in (ours, theirs):
        model.train(training)
        x = randn(3, C, *size).requires_grad_()
        out = model(x)
        out.backward(randn(3, C, *size, seed=1))
        results.append([
            out, x.grad, *(p.grad for p in model.parameters()),
            *(b.double() for b in model.buffers())
        ])
    assert_same(*results)


def test_merged_weights_are_those_of_mmcls():
    ours, theirs = block(), HostRepMLPBlock(C, 4, 4, (1, 3), num_sharesets=4)
    theirs.load_state_dict(ours.state_dict())
    theirs.eval().switch = theirs.local_inject()
    weight, bias = ours.float().merged()['fc3']
    assert_same([weight, bias], [theirs.fc3.weight, theirs.fc3.bias], 2e-5)


def test_output_is_equivariant_to_permuting_partitions():
    # mmcls scrambles partitions when there are several and C != S.
    trained, x = block((2, 2)), randn(1, C, 4, 4)
    swapped = torch.cat([x[..., 2:, :], x[..., :2, :]], dim=2)
    out = trained(x)
    expected = torch.cat([out[..., 2:, :], out[..., :2, :]], dim=2)
    assert_same(trained(swapped), expected)


def test_every_partition_is_treated_as_if_alone_but_for_the_gate():
    trained, x = block((2, 2)), randn(2, C, 4, 6)
    gate = trained.gp(x)
    alone = x[..., 2:4, 4:6]
    assert_same(
        trained(x)[..., 2:4, 4:6] / gate,
        trained(alone) / trained.gp(alone))


def test_a_sample_does_not_depend_on_its_place_in_the_batch():
    trained, x = block(), randn(3, C, 4, 4)
    assert_same(trained(x)[2:], trained(x[2:]))


def test_sharesets_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(ValueError, match='3 sharesets do not divide 8'):
        block(sharesets=3)


def test_switching_twice_or_when_built_merged_does_nothing():
    merged = block(deploy=True)
    before = {k: v.clone() for k, v in merged.state_dict().items()}
    merged.switch_to_deploy()
    merged.switch_to_deploy()
    assert merged.deploy
    assert before.keys() == merged.state_dict().keys()
    assert_same([*merged.state_dict().values()], [*before.values()], 0)


def test_form_and_names_after_merging():
    merged = block()
    merged.switch_to_deploy()
    assert {name
            for name in merged.state_dict()
            if 'gp.' not in name} == {'fc3.weight', 'fc3.bias'}
    assert merged.state_dict().keys() == block(deploy=True).state_dict().keys()


def test_a_failed_merge_changes_nothing():
    # mmcls sets its deploy flag first and then drops the convolutions.
    trained, x = block(), randn(2, C, 4, 4)
    expected = trained(x)
    trained.repconv3.bn = nn.GroupNorm(1, 4).double()
    expected = trained(x)
    with pytest.raises(ValueError, match='repconv3 is normalised by Group'):
        trained.switch_to_deploy()
    assert not trained.deploy
    assert_same(trained(x), expected, 0)


def test_a_wrong_folding_would_be_seen(monkeypatch):
    fold = partition_perceptron.fold_norm

    def without_mean(conv, norm, name):
        norm = copy.deepcopy(norm)
        norm.running_mean.zero_()
        return fold(conv, norm, name)

    trained, x = block(), randn(2, C, 4, 4)
    merged = copy.deepcopy(trained)
    monkeypatch.setattr(partition_perceptron, 'fold_norm', without_mean)
    merged.switch_to_deploy()
    with pytest.raises(AssertionError):
        assert_same(merged(x), trained(x), 1e-3)


@pytest.mark.parametrize(('dtype', 'rtol'), [(torch.float64, 1e-12),
                                             (torch.float32, 2e-5),
                                             (torch.bfloat16, 5e-2)])
def test_merges_in_any_dtype_and_keeps_it(dtype, rtol):
    trained = block().to(dtype)
    merged = copy.deepcopy(trained)
    merged.switch_to_deploy()
    assert {p.dtype for p in merged.parameters()} == {dtype}
    x = randn(2, C, 4, 4).to(dtype)
    assert merged(x).dtype is dtype
    assert_same(merged(x).double(), trained(x).double(), rtol)


def test_merged_weight_is_rounded_once():
    # mmcls merges in the model's dtype and so rounds every step.
    trained = block()
    exact = copy.deepcopy(trained).merged()['fc3']
    half = trained.bfloat16().double()
    expected = [t.bfloat16() for t in half.merged()['fc3']]
    assert_same([*half.bfloat16().merged()['fc3']], expected, 0)
    assert_same(expected[0].double(), exact[0], 2e-2)


@pytest.mark.parametrize('trainable', [True, False])
def test_switching_keeps_mode_and_what_is_trainable(trainable):
    merged = block().train().requires_grad_(trainable)
    merged.switch_to_deploy()
    assert all(m.training for m in merged.modules())
    assert {p.requires_grad for p in merged.parameters()} == {trainable}


def test_configs_reach_every_layer():
    # norm_cfg reaches 7 of 15 norms in mmcls, conv_cfg nothing of a block.
    unit = RepMLPNetUnit(
        C,
        path_h=4,
        path_w=4,
        reparam_conv_kernels=(1, 3),
        num_sharesets=4,
        conv_cfg=dict(type='Conv2dAdaptivePadding'),
        norm_cfg=dict(type='BN', eps=0.25, momentum=0.5))
    norms = [m for m in unit.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 7
    assert {(m.eps, m.momentum) for m in norms} == {(0.25, 0.5)}
    convs = [m for m in unit.modules() if isinstance(m, nn.Conv2d)]
    assert len(convs) == 7
    assert {type(m) for m in convs} == {Conv2dAdaptivePadding}


def test_merging_with_other_configs_is_exact():
    trained = block(
        conv_cfg=dict(type='Conv2dAdaptivePadding'),
        norm_cfg=dict(type='SyncBN', eps=0.25))
    merged, x = copy.deepcopy(trained), randn(2, C, 4, 4)
    merged.switch_to_deploy()
    assert_same(merged(x), trained(x))


def test_convolutions_that_cannot_be_merged_are_refused_when_built():
    with pytest.raises(ValueError, match='ConvWS'):
        block(conv_cfg=dict(type='ConvWS'))


@pytest.mark.parametrize('strict', [True, False])
@pytest.mark.parametrize('loader', ['torch', 'mmengine'])
@pytest.mark.parametrize(('wanted', 'given', 'message'), [
    (dict(deploy=True), {}, 'training form.*reparameterize_model.py'),
    ({}, dict(deploy=True), 'already converted.*reparameterize_model.py'),
    (dict(kernels=(1, 3, 5)), {}, 'reparam_conv_kernels.*repconv5'),
    (dict(kernels=None), {}, 'reparam_conv_kernels.*repconv1'),
    (dict(size=(2, 2)), {}, 'another image size.*of 4x4, the model has 2x2'),
])  # yapf: disable
def test_what_does_not_fit_is_refused_and_nothing_is_loaded(
        strict, loader, wanted, given, message):
    # mmengine's loader only warns, and the rest stays at random.
    model, state_dict = block(**wanted), block(**given).state_dict()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        if loader == 'torch':
            model.load_state_dict(state_dict, strict=strict)
        else:
            load_state_dict(model, state_dict, strict=strict)
    assert_same([*model.state_dict().values()], [*before.values()], 0)


def test_drop_path_drops_whole_samples_in_training_only():
    torch.manual_seed(0)
    unit = RepMLPNetUnit(C, path_h=2, path_w=2, drop_path_rate=0.9).double()
    x = randn(64, C, 2, 2)
    unchanged = (unit.train()(x) == x).flatten(1).all(1)
    assert 0 < unchanged.sum() < 64
    assert not (unit.eval()(x) == x).flatten(1).all(1).any()
