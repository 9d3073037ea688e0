"""The contract that every backbone keeps."""
import copy
import itertools
import pickle

import pytest
import torch
from mmcv.cnn.bricks import DropPath
from mmengine.runner.checkpoint import load_state_dict
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmcls_repmlp.errors import InputError
from mmcls_repmlp.host import BaseBackbone, build_backbone
from mmcls_repmlp.models import RepMLPCifarNet, RepMLPNet, RepMLPResNet
from tests.helpers import (TINY_CFG, TINY_CIFAR_CFG, TINY_RESNET_CFG,
                           assert_refused, assert_same, randn, random_model)

BACKBONES = {
    'RepMLPNet': (RepMLPNet, TINY_CFG),
    'RepMLPNet, rc6 outputs': (RepMLPNet, {
        **TINY_CFG, 'out_after_downsample': True,
        'drop_path_rate': 0.5
    }),
    'RepMLPResNet, light': (RepMLPResNet, TINY_RESNET_CFG),
    'RepMLPResNet, bottleneck': (RepMLPResNet, {
        **TINY_RESNET_CFG, 'block': 'bottleneck',
        'drop_path_rate': 0.5
    }),
    'RepMLPResNet, base': (RepMLPResNet, {
        **TINY_RESNET_CFG, 'block': 'base'
    }),
    'RepMLPResNet, face': (RepMLPResNet, {
        **TINY_RESNET_CFG, 'depth': (2, 2),
        'img_size': 32,
        'block': 'bottleneck',
        'repmlp_stages': (0, 1),
        'expansion': 1,
        'out_indices': (1, )
    }),
    'RepMLPCifarNet': (RepMLPCifarNet, TINY_CIFAR_CFG),
}
every_backbone = pytest.mark.parametrize('name', BACKBONES)
LOADERS = dict(
    strictly=lambda model, weights: model.load_state_dict(weights),
    leniently=lambda model, weights: model.load_state_dict(
        weights, strict=False),
    mmengine=load_state_dict)


def net(name, **cfg):
    kind, own = BACKBONES[name]
    return random_model(kind, **{**own, **cfg})


def images(model, n=2):
    return randn(n, 3, *model.img_size)


@every_backbone
def test_is_a_backbone_of_the_host(name):
    kind, cfg = BACKBONES[name]
    assert issubclass(kind, BaseBackbone)
    built = build_backbone(dict(cfg, type=kind.__name__))
    assert type(built) is kind and built.train() is built


@every_backbone
def test_copies_and_pickles(name):
    model = net(name)
    x = images(model)
    assert_same(pickle.loads(pickle.dumps(model))(x), model(x), 0)


@every_backbone
def test_in_channels_and_init_cfg(name):
    model = net(
        name,
        in_channels=1,
        init_cfg=dict(type='Constant', layer='Conv2d', val=0.5))
    assert len(model(randn(1, 1, *model.img_size))[0]) == 1
    model.init_weights()
    convs = [
        module for part in model.mergeable_parts()
        for module in part.children() if isinstance(module, nn.Conv2d)
    ]
    assert convs and all((conv.weight == 0.5).all() for conv in convs)


@every_backbone
def test_a_training_step_reaches_every_parameter(name):
    model = net(name).train()
    for module in model.modules():
        if isinstance(module, DropPath):
            module.drop_prob = 0.
    model(images(model, 4))[0].square().mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize(
    'name',
    [name for name, (_, cfg) in BACKBONES.items() if 'drop_path_rate' in cfg])
def test_drop_path_rates_grow_over_the_blocks(name):
    rates = [b.drop_path.drop_prob for s in net(name).stages for b in s]
    last = len(rates) - 1
    assert rates == pytest.approx([0.5 * i / last for i in range(last + 1)])


@every_backbone
def test_every_parameter_is_of_one_part(name):
    model = net(name)
    for parameter, _ in model.named_parameters():
        assert sum(parameter.startswith(f'{part}.')
                   for part in model.parts) == 1, parameter
    assert model.parts[model.stem_name] == -1
    assert len(model.stages) == model.num_stages == len(model.channels)


@every_backbone
def test_walks_through_the_stages_in_their_order(name):
    everything = net(name)
    everything.out_indices = tuple(range(everything.num_stages))
    x, calls = images(everything), []
    for stage in everything.stages:
        stage.register_forward_hook(lambda module, _, out: calls.append(
            (module, out)))
    outs = everything(x)
    assert [module for module, _ in calls] == [*everything.stages]
    for i, (out, (_, map_)) in enumerate(zip(outs, calls)):
        if i == everything.num_stages - 1:
            map_ = everything.finish(map_)
        elif everything.out_after_downsample:
            map_ = everything.downsample(map_, i)
        assert_same(out, map_, 0)
    for i, j in itertools.combinations(range(everything.num_stages), 2):
        assert_same(net(name, out_indices=(i, j))(x), (outs[i], outs[j]), 0)


# What has no forward; the stages in them are called one by one.
CONTAINERS = {'stages', 'downsample_layers'}


@every_backbone
@pytest.mark.parametrize('form', ['train', 'eval', 'deploy'])
@pytest.mark.parametrize('grad', [True, False])
def test_every_module_is_called_as_one(name, form, grad):
    # Hooks of feature extractors, profilers and the like see all of them.
    model = net(name).train(form == 'train')
    if form == 'deploy':
        model.switch_to_deploy()
    x, called = images(model), set()
    expected = copy.deepcopy(model)(x)
    for path, module in model.named_modules():
        module.register_forward_hook(lambda *_, path=path: called.add(path))
    with torch.set_grad_enabled(grad):
        outs = model(x)
    assert {path for path, _ in model.named_modules()} - called <= CONTAINERS
    if form != 'train':  # paths are dropped there
        assert_same(outs, expected, 1e-12)


@every_backbone
def test_hooks_change_what_they_are_called_with(name):
    # A stage is no mere list of blocks: what a hook on it returns goes on.
    model = net(name)
    model.stages[-1].register_forward_hook(lambda *args: args[-1] * 0)
    assert_same(
        model(images(model))[-1],
        model.finish(torch.zeros_like(net(name)(images(model))[-1])), 0)


@every_backbone
@pytest.mark.parametrize('deploy', [False, True])
def test_feature_info_is_true_of_every_map(name, deploy):
    model = net(name)
    model.out_indices = tuple(range(model.num_stages))
    if deploy:
        model.switch_to_deploy()
    x, seen = images(model), {}
    for info in model.feature_info:
        model.get_submodule(info['module']).register_forward_hook(
            lambda module, _, out, info=info: seen.update(
                {info['module']: out}))
    outs = model(x)
    assert len(model.feature_info) == len(outs) == model.num_stages
    for info, out in zip(model.feature_info, outs):
        assert_same(seen[info['module']], out, 0)
        assert out.shape[1] == info['num_chs']
        assert x.shape[2] == out.shape[2] * info['reduction']
        assert x.shape[3] == out.shape[3] * info['reduction']


def test_feature_info_of_patches_that_are_no_squares():
    model = RepMLPNet(**{**TINY_CFG, 'patch_size': (4, 2)})
    assert [info['reduction'] for info in model.feature_info] == [(4, 2),
                                                                  (8, 4),
                                                                  (16, 8)]


@every_backbone
def test_outputs_count_from_either_end(name):
    last = net(name).num_stages - 1
    for given in (-1, (-1, ), [-1], last):
        assert net(name, out_indices=given).out_indices == (last, )
    assert net(name, out_indices=(-1, 0)).out_indices == (0, last)
    with pytest.raises(ValueError, match='different stages between'):
        net(name, out_indices=(-1, last))


@pytest.mark.parametrize(('kind', 'usual', 'stages'), [
    (RepMLPNet, 3, lambda n: dict(
        arch=dict(channels=[4] * n, depths=[1] * n, sharesets_nums=[1] * n),
        img_size=64)),
    (RepMLPResNet, 3,
     lambda n: dict(depth=[1] * n, block='base', base_channels=1)),
    (RepMLPCifarNet, 2, lambda n: dict(
        channels=[2] * n, img_size=16, partition_size=1, num_groups=1)),
])
def test_by_default_one_stage_is_returned_however_many_there_are(
        kind, usual, stages):
    for count in range(1, 6):
        assert kind(**stages(count)).out_indices == (min(usual, count - 1), )
    with pytest.raises(ValueError, match='out_indices must be'):
        kind(**stages(usual), out_indices=(usual, ))


@every_backbone
def test_freezes_the_stem_and_the_first_stages(name):
    for frozen in range(-1, net(name).num_stages):
        model = net(name, frozen_stages=frozen).train()
        still = [*model.stages[:frozen + 1]]
        if frozen >= 0:
            still.append(model.get_submodule(model.stem_name))
        moving = model.stages[frozen + 1:]
        assert not any(m.training for part in still for m in part.modules())
        assert not any(p.requires_grad for part in still
                       for p in part.parameters())
        assert all(m.training for part in moving for m in part.modules())
        assert all(p.requires_grad for part in moving
                   for p in part.parameters())
        assert any(p.requires_grad
                   for p in model.parameters()) is (frozen
                                                    < model.num_stages - 1)
        # What is frozen is all that comes before what is not.
        depths = {True: [0], False: [99]}
        for key, parameter in model.named_parameters():
            depths[parameter.requires_grad].append(
                model.get_layer_depth(key)[0])
        assert max(
            depths[False][1:], default=-1) < min(
                depths[True][1:], default=99)


@every_backbone
def test_blocks_lie_deeper_one_after_the_other(name):
    model, prefix = net(name), 'backbone.'
    blocks = [
        f'stage {i} {block}' for i, stage in enumerate(model.stages)
        for block in stage._modules
    ]
    total, found = len(blocks) + 2, []
    for part, stage in model.parts.items():
        for key, _ in model.get_submodule(part).named_parameters():
            depth, count = model.get_layer_depth(f'{prefix}{part}.{key}',
                                                 prefix)
            assert count == total
            assert depth == 0 if stage < 0 else depth > 0
            found.append(depth)
    assert {*found} >= {*range(total - 1)}
    for i, stage in enumerate(model.stages):
        part = next(
            part for part in model.parts if model.get_submodule(part) is stage)
        before = sum(map(len, model.stages[:i]))
        for j, block in enumerate(stage):
            for key, _ in block.named_parameters():
                depth, _ = model.get_layer_depth(f'{part}.{j}.{key}')
                assert depth == 1 + before + j
    assert model.get_layer_depth('head.fc.weight',
                                 prefix) == (total - 1, total)


@every_backbone
def test_all_parts_are_merged_or_none(name):
    model = net(name)
    x = images(model)
    broken = copy.deepcopy(model)
    last = broken.mergeable_parts()[-1]
    norm = last.training_only[0]
    channels = getattr(last, norm).num_features
    setattr(last, norm, nn.GroupNorm(1, channels))
    with pytest.raises(ValueError, match='GroupNorm'):
        broken.switch_to_deploy()
    assert not any(part.deploy for part in broken.mergeable_parts())
    expected = model(x)
    for _ in range(2):
        model.switch_to_deploy()
        assert model.deploy and all(part.deploy
                                    for part in model.mergeable_parts())
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
    model.with_cp = False
    assert not model.with_cp
    assert not any(stage.with_cp for stage in model.stages)


@every_backbone
@pytest.mark.parametrize('load', LOADERS.values(), ids=LOADERS)
@pytest.mark.parametrize(('deploy', 'message'), [(True, 'training form'),
                                                 (False, 'already converted')])
def test_the_other_form_is_refused_and_nothing_is_loaded(
        name, load, deploy, message):
    model, other = (nn.ModuleDict(
        dict(backbone=net(name, seed=i, deploy=form)))
                    for i, form in enumerate((deploy, not deploy)))
    assert_refused(model, other.state_dict(),
                   f'{message}.*reparameterize_model.py', load)


@every_backbone
def test_nothing_is_loaded_if_a_later_stage_does_not_fit(name):
    model = nn.ModuleDict(dict(backbone=net(name)))
    weights = {key: value + 1 for key, value in model.state_dict().items()}
    last = model.backbone.stages[-1]
    key = [
        f'backbone.{key}' for key, value in model.backbone.named_parameters()
        if any(value is p for p in last.parameters()) and (
            'conv.weight' in key or 'fc3.weight' in key)
    ][-1]
    weights[key] = torch.ones(1)
    assert_refused(model, weights, key.split('.', 1)[1], LOADERS['leniently'])


@every_backbone
def test_images_of_another_size_are_refused(name):
    model = net(name)
    h, w = model.img_size
    if name == 'RepMLPResNet, base':
        assert model(randn(1, 3, h + 8, w))[0].shape[0] == 1
        return
    with pytest.raises(InputError, match=f'{h + 8}x{w} do not fit'):
        model(randn(1, 3, h + 8, w))
