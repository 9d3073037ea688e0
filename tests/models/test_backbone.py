"""The contract that every backbone keeps."""
import copy
import itertools

import pytest
import torch
from mmengine.runner.checkpoint import load_state_dict
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmcls_repmlp import fuse_for_inference, reparameterize
from mmcls_repmlp.host import BaseBackbone, build_backbone
from mmcls_repmlp.models import RepMLPCifarNet, RepMLPNet, RepMLPResNet
from mmcls_repmlp.models.backbone import Stage, run_checkpointed
from repmlp_lite.errors import InputError
from tests.helpers import (TINY, TINY_CFG, TINY_CIFAR_CFG, TINY_RESNET_CFG,
                           assert_refused, assert_same, randn, random_model)


def mlp(**cfg):
    return RepMLPNet, {**TINY_CFG, **cfg}


def resnet(block, **cfg):
    return RepMLPResNet, {**TINY_RESNET_CFG, 'block': block, **cfg}


BACKBONES = {
    'RepMLPNet': mlp(),
    'RepMLPNet, rc6 outputs': mlp(
        out_after_downsample=True, drop_path_rate=0.5),
    'RepMLPResNet, light': resnet('light'),
    'RepMLPResNet, bottleneck': resnet('bottleneck', drop_path_rate=0.5),
    'RepMLPResNet, base': resnet('base'),
    'RepMLPResNet, face': resnet(
        'bottleneck',
        depth=(2, 2),
        img_size=32,
        repmlp_stages=(0, 1),
        expansion=1,
        out_indices=(1, )),
    'RepMLPCifarNet': (RepMLPCifarNet, TINY_CIFAR_CFG),
}
every_backbone = pytest.mark.parametrize('name', BACKBONES)
LOADERS = dict(
    leniently=lambda model, weights: model.load_state_dict(
        weights, strict=False),
    mmengine=load_state_dict)
# What every backbone refuses, and what is its own.
_WRONG = dict(
    img_size=(), out_indices=3, frozen_stages=3, reparam_conv_kernels=(2, ))
WRONG = {
    'RepMLPNet': dict(_WRONG, arch='x', patch_size=0, drop_path_rate=1.),
    'RepMLPResNet, bottleneck': dict(
        _WRONG,
        **dict.fromkeys(('partition_size', 'globalperceptron_ratio',
                         'base_channels', 'expansion'), 0),
        depth=18,
        block='heavy',
        num_groups=(1, 2, 3),
        repmlp_stages=3,
        drop_path_rate=1.,
        reduction=3),
    'RepMLPCifarNet': dict(_WRONG, channels=(4, 0), depth=0, num_groups=3)
}
# One block more in the second stage.
DEEPER = dict(TINY, depths=(1, 3, 1))


def net(name, seed=0, **cfg):
    kind, own = BACKBONES[name]
    return random_model(kind, seed, **{**own, **cfg})


def every_stage(model):
    model.out_indices = tuple(range(model.num_stages))
    return model


def images(model, n=2):
    return randn(n, 3, *model.img_size)


@every_backbone
def test_is_a_backbone_of_the_host(name):
    kind, cfg = BACKBONES[name]
    init_cfg = dict(type='Constant', layer='Conv2d', val=0.5)
    built = build_backbone(
        dict(cfg, type=kind.__name__, in_channels=1, init_cfg=init_cfg))
    assert type(built) is kind and issubclass(kind, BaseBackbone)
    assert built.train() is built
    assert len(built(randn(2, 1, *built.img_size).float())[0]) == 2
    built.init_weights()
    convs = [
        module for part in built.mergeable_parts()
        for module in part.children() if isinstance(module, nn.Conv2d)
    ]
    assert convs and all((conv.weight == 0.5).all() for conv in convs)


@every_backbone
def test_layer_configs_reach_every_layer_and_merge(name):
    conv, norm = dict(type='Conv2dAdaptivePadding'), dict(type='BN', eps=0.25)
    model = net(name, conv_cfg=conv, norm_cfg=norm)
    layers = [*model.modules()]
    assert {type(m).__name__
            for m in layers if isinstance(m, nn.Conv2d)} == {conv['type']}
    assert {m.eps for m in layers if isinstance(m, _BatchNorm)} == {0.25}
    x = images(model)
    assert_same(reparameterize(model)(x), model(x), 1e-11)


@pytest.mark.parametrize(
    'name',
    [name for name, (_, cfg) in BACKBONES.items() if 'drop_path_rate' in cfg])
def test_more_and_more_samples_skip_the_branches_in_training_only(name):
    model = net(name)
    rates = [b.drop_path.drop_prob for s in model.stages for b in s]
    last = len(rates) - 1
    assert rates == pytest.approx([0.5 * i / last for i in range(last + 1)])
    block = model.stages[-1][-1]
    side = model.img_size[0] // model.feature_info[-1]['reduction']
    x = randn(64, model.channels[-1], side, side).abs()  # as ReLU leaves it
    torch.manual_seed(0)
    assert 0 < (block.train()(x) == x).flatten(1).all(1).sum() < 64
    assert not (block.eval()(x) == x).flatten(1).all(1).any()


@every_backbone
def test_any_stages_are_returned(name):
    model = every_stage(net(name))
    x = images(model)
    outs = model(x)
    for i, j in itertools.combinations(range(model.num_stages), 2):
        assert_same(net(name, out_indices=(i, j))(x), (outs[i], outs[j]), 0)


@every_backbone
def test_feature_info_is_true_of_every_map(name):
    model, seen = every_stage(net(name)), {}
    assert len(model.feature_info) == model.num_stages
    for info in model.feature_info:
        model.get_submodule(info['module']).register_forward_hook(
            lambda module, _, out, name=info['module']: seen.update(
                {name: out}))
    x = images(model)
    for info, out in zip(model.feature_info, model(x)):
        assert_same(seen[info['module']], out, 0)
        assert out.shape[1] == info['num_chs']
        assert [side * info['reduction']
                for side in out.shape[2:]] == [*x.shape[2:]]


def test_feature_info_of_patches_that_are_no_squares():
    model = RepMLPNet(**{**TINY_CFG, 'patch_size': (4, 2)})
    assert [info['reduction'] for info in model.feature_info] == [(4, 2),
                                                                  (8, 4),
                                                                  (16, 8)]


@pytest.mark.parametrize(('model', 'usual'), [
    (RepMLPNet(dict(channels=[4] * 5, depths=[1] * 5, sharesets_nums=[1] * 5),
               64), 3),
    (RepMLPResNet([1] * 5, 'base', base_channels=1), 3),
    (RepMLPCifarNet([2] * 4, 1, 16, partition_size=1, num_groups=1), 2),
])  # yapf: disable
def test_by_default_one_stage_is_returned(model, usual):
    assert model.out_indices == (usual, )


@every_backbone
def test_freezes_the_stem_and_the_first_stages(name):
    for frozen in range(-1, net(name).num_stages):
        model = net(name, frozen_stages=frozen).train()
        still = [*model.stages[:frozen + 1]]
        if frozen >= 0:
            still.append(model.get_submodule(model.stem_name))
        for parts, moves in ((still, False), (model.stages[frozen + 1:],
                                              True)):
            for part in parts:
                assert {m.training for m in part.modules()} == {moves}
                assert {p.requires_grad for p in part.parameters()} == {moves}
        # What is frozen is all that comes before what is not.
        depths = {True: [99], False: [-1]}
        for key, parameter in model.named_parameters():
            depths[parameter.requires_grad].append(
                model.get_layer_depth(key)[0])
        assert max(depths[False]) < min(depths[True])
        all_frozen = frozen == model.num_stages - 1
        assert (depths[True] == [99]) is all_frozen


@every_backbone
def test_blocks_lie_deeper_one_after_the_other(name):
    model, prefix = net(name), 'backbone.'
    assert model.stage_of_module[model.stem_name] == -1
    assert len(model.stages) == model.num_stages == len(model.channels)
    for parameter, _ in model.named_parameters():
        assert sum(
            parameter.startswith(f'{part}.')
            for part in model.stage_of_module) == 1, parameter
    first = [*itertools.accumulate(map(len, model.stages), initial=1)]
    total, found = first[-1] + 1, set()
    for part, stage in model.stage_of_module.items():
        module = model.get_submodule(part)
        for key, _ in module.named_parameters():
            expected = first[stage] if stage >= 0 else 0
            if module in [*model.stages]:
                expected += int(key.split('.')[0])
            found.add(expected)
            assert model.get_layer_depth(f'{prefix}{part}.{key}',
                                         prefix) == (expected, total)
    assert found >= {*range(total - 1)}
    assert model.get_layer_depth('head.fc.weight',
                                 prefix) == (total - 1, total)


@every_backbone
def test_all_parts_are_merged_or_none(name):
    model = net(name)
    x = images(model)
    broken = copy.deepcopy(model)
    last = broken.mergeable_parts()[-1]
    setattr(last, last.training_only[0], nn.GroupNorm(1, 4))
    with pytest.raises(ValueError, match='GroupNorm'):
        broken.switch_to_deploy()
    assert not any(part.deploy for part in broken.mergeable_parts())
    expected = model(x)
    for _ in range(2):
        model.switch_to_deploy()
        assert model.deploy
        assert all(part.deploy for part in model.mergeable_parts())
        assert_same(model(x), expected, 1e-11)
    built = net(name, deploy=True)
    built.switch_to_deploy()
    built.load_state_dict(model.state_dict())
    assert_same(built(x), expected, 1e-11)


@every_backbone
def test_norm_eval(name):
    model = net(name, norm_eval=True).train()
    assert model.training and all(stage.training for stage in model.stages)
    assert not any(module.training for module in model.modules()
                   if isinstance(module, _BatchNorm))


@every_backbone
def test_checkpointing_changes_no_result(name):
    results = []
    for with_cp in (False, True):
        model = net(name, with_cp=with_cp).train()
        torch.manual_seed(1)  # of dropped paths
        model(images(model))[0].square().sum().backward()
        results.append([
            *(p.grad for p in model.parameters()),
            *(b.double() for b in model.buffers())
        ])
    assert_same(*results, rtol=0)


@every_backbone
@pytest.mark.parametrize('load', LOADERS.values(), ids=LOADERS)
@pytest.mark.parametrize(('deploy', 'message'), [(True, 'training form'),
                                                 (False, 'already converted')])
def test_the_other_form_is_refused_and_nothing_is_loaded(
        name, load, deploy, message):
    model = nn.ModuleDict(dict(backbone=net(name, deploy=deploy)))
    other = nn.ModuleDict(dict(backbone=net(name, 1, deploy=not deploy)))
    assert_refused(model, other.state_dict(),
                   f'{message}.*repmlp reparameterize', load)


@pytest.mark.parametrize(('name', 'wanted', 'given', 'message'), [
    ('RepMLPNet', {}, dict(img_size=64), 'another image size.*of 16x16'),
    ('RepMLPNet', dict(reparam_conv_kernels=(1, 3, 5)), {},
     'reparam_conv_kernels.*repconv5'),
    ('RepMLPNet', {}, dict(arch=DEEPER), 'another architecture.*1.2'),
    ('RepMLPNet', dict(arch=DEEPER), {}, 'another architecture.*1.2'),
    ('RepMLPResNet, light', dict(img_size=96, repmlp_stages=1),
     dict(repmlp_stages=1), 'another image size: global'),
    ('RepMLPResNet, light', dict(num_groups=1), {},
     'another architecture.*groups'),
    ('RepMLPResNet, light', dict(depth=(1, 2, 3)), {},
     'another architecture.*stage3.2'),
])
def test_another_model_is_refused_and_nothing_is_loaded(
        name, wanted, given, message):
    assert_refused(
        net(name, **wanted),
        net(name, 1, **given).state_dict(), message)


@pytest.mark.parametrize(('name', 'wrong', 'value'),
                         [(name, wrong, value)
                          for name, arguments in WRONG.items()
                          for wrong, value in arguments.items()])
def test_wrong_arguments_are_refused(name, wrong, value):
    with pytest.raises(ValueError, match=wrong):
        net(name, **{wrong: value})


@every_backbone
@pytest.mark.parametrize('form',
                         [copy.deepcopy, reparameterize, fuse_for_inference])
def test_images_of_another_size_are_refused_in_every_form(name, form):
    model = net(name)
    h, w = model.img_size
    model = form(model)
    for size in ((h + 8, w), (h - 1, w - 1), (h, w + 1)):
        if name == 'RepMLPResNet, base':
            assert model(randn(1, 3, *size))[0].shape[0] == 1
            continue
        with pytest.raises(
                InputError, match=f'{size[0]}x{size[1]} do not fit'):
            model(randn(1, 3, *size))


@every_backbone
def test_a_single_image_without_a_batch_is_refused(name):
    model = net(name)
    with pytest.raises(InputError, match='^images of shape'):
        model(randn(3, *model.img_size))


@pytest.mark.filterwarnings('ignore:.*torch.jit')
@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')
@pytest.mark.parametrize('form', [copy.deepcopy, fuse_for_inference])
def test_traces_with_and_without_gradients_are_the_same(form):
    # torch traces again without gradients, and compares the graphs.
    model = form(net('RepMLPCifarNet')).float()
    torch.jit.trace(model, randn(2, 3, 8, 8).float())


# ----------------------------------------------------------------------- Stage


def test_checkpointing_keeps_no_activations():
    module = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 4))

    def saved(call):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
                lambda t: sizes.append(t.numel()) or t, lambda t: t):
            call(module, torch.ones(8, 4, requires_grad=True))
        return sum(sizes)

    assert saved(run_checkpointed) < saved(lambda m, x: m(x)) / 4


@pytest.mark.parametrize(('cfg', 'training', 'with_gradients', 'passes'), [
    (dict(with_cp=True), True, True, 2),
    (dict(with_cp=True), True, False, 1),
    (dict(with_cp=True), False, True, 1),
    ({}, True, True, 1),
])
def test_a_stage_checkpoints_in_training_with_gradients_only(
        cfg, training, with_gradients, passes):
    stage, calls = Stage(nn.Linear(2, 2), **cfg), []
    stage.train(training)[0].register_forward_pre_hook(
        lambda *call: calls.append(call))
    with torch.set_grad_enabled(with_gradients):
        out = stage(torch.ones(3, 2))
    if with_gradients:
        out.sum().backward()
    assert len(calls) == passes


def test_checkpointing_gives_way_to_transforms_and_compilers():
    stage, x = Stage(nn.Linear(2, 2), with_cp=True).double(), randn(3, 2)
    assert_same(torch.func.jacrev(stage)(x[0]), stage[0].weight.detach())
    compiled = torch.compile(stage, backend='eager', fullgraph=True)
    assert_same(*(torch.autograd.grad(run(x).sum(), [*stage.parameters()])
                  for run in (compiled, stage)))
