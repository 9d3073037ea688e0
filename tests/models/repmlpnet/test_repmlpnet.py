import copy

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmcls_repmlp import RepMLPNet
from mmcls_repmlp.checkpoints import convert_to_mmcls
from tests.helpers import (DATA, TINY, TINY_CFG, assert_refused, assert_same,
                           randn, random_model, randomize, shapes)
from tests.host_parts import HostRepMLPNet


def net(**cfg):
    return random_model(RepMLPNet, **{**TINY_CFG, **cfg})


def mmcls_net(**cfg):
    return random_model(
        HostRepMLPNet, **{
            **dict(
                arch={
                    k: list(v)
                    for k, v in TINY.items()
                },
                img_size=32,
                out_indices=(2, ),
                reparam_conv_kernels=(1, 3)),
            **cfg
        })


@pytest.mark.parametrize('deploy', [False, True])
def test_arch_b_has_the_names_shapes_and_order_of_mmcls(deploy):
    with torch.device('meta'):
        ours = RepMLPNet('b', deploy=deploy)
        theirs = HostRepMLPNet('b', reparam_conv_kernels=(1, 3), deploy=deploy)
    assert shapes(ours) == shapes(theirs)
    # Optimizer states of checkpoints go by position.
    assert [name for name, _ in ours.named_parameters()
            ] == [name for name, _ in theirs.named_parameters()]


# ------------------------------------------------------------ equal results


@pytest.mark.parametrize(('dtype', 'rtol'), [(torch.float64, 1e-12),
                                             (torch.float32, 2e-5)])
@pytest.mark.parametrize('kernels', [None, (3, ), (1, 3), (1, 3, 5)])
def test_training_form_equals_mmcls(dtype, rtol, kernels):
    ours = net(reparam_conv_kernels=kernels).to(dtype)
    theirs = mmcls_net(reparam_conv_kernels=kernels).to(dtype)
    theirs.load_state_dict(ours.state_dict())
    x = randn(2, 3, 32, 32).to(dtype)
    assert_same(ours(x), theirs(x), rtol)


@pytest.mark.parametrize('batch', [1, 2, 64])
def test_deploy_form_equals_mmcls_in_float64(batch):
    # mmcls cannot convert in float64 but can load what was converted.
    ours, theirs = net(), mmcls_net(deploy=True)
    ours.switch_to_deploy()
    theirs.load_state_dict(ours.state_dict())
    x = randn(batch, 3, 32, 32)
    assert_same(ours(x), theirs(x))
    with torch.no_grad():  # other formulations are chosen then
        assert_same(ours(x), theirs(x))


@pytest.mark.parametrize('batch', [1, 64])
def test_formulations_for_inference_equal_mmcls_in_float32(batch):
    ours, theirs = net(deploy=True).float(), mmcls_net(deploy=True).float()
    theirs.load_state_dict(ours.state_dict())
    x = randn(batch, 3, 32, 32).float()
    with torch.no_grad():
        assert_same(ours(x), theirs(x), 2e-5)


def test_at_the_size_of_b224_both_forms_equal_mmcls():
    # There other formulations are chosen; one block of each stage is enough.
    # The residual branches are damped, or activations explode and float32
    # says nothing.
    arch = dict(
        channels=[96, 192, 384, 768],
        depths=[1, 1, 1, 1],
        sharesets_nums=[1, 4, 32, 128])
    ours = randomize(RepMLPNet(arch)).eval()
    theirs = HostRepMLPNet(arch, reparam_conv_kernels=(1, 3)).eval()
    with torch.no_grad():
        for name, module in ours.named_modules():
            if name.endswith(
                ('ffn_fc2.bn', 'fc3_bn')) or ('repconv' in name
                                              and name.endswith('.bn')):
                module.weight.mul_(0.2)
                module.bias.mul_(0.2)
        theirs.load_state_dict(ours.state_dict())
        x = randn(2, 3, 224, 224).float()
        assert_same(ours(x), theirs(x), 2e-5)
        for model in (ours, theirs):
            model.switch_to_deploy()
        assert_same(ours(x), theirs(x), 2e-5)


def test_compiled_graph_gives_the_same():
    arch = dict(channels=(8, 16), depths=(1, 1), sharesets_nums=(1, 4))
    model = net(arch=arch, out_indices=1).float().train()
    x = randn(4, 3, 32, 32).float()
    results = []
    for run in (copy.deepcopy(model),
                torch.compile(copy.deepcopy(model), backend='aot_eager')):
        out = run(x)[0]
        (out * randn(*out.shape).float()).sum().backward()
        results.append([out, *(b.float() for b in run.buffers())])
    assert_same(*results, rtol=2e-4)


def test_deploy_form_equals_mmcls_own_conversion_in_float32():
    ours, theirs = net().float(), mmcls_net().float()
    theirs.load_state_dict(ours.state_dict())
    for model in (ours, theirs):
        model.switch_to_deploy()
    x = randn(2, 3, 32, 32).float()
    assert_same(ours(x), theirs(x), 2e-5)
    for (name, a), b in zip(ours.state_dict().items(),
                            theirs.state_dict().values()):
        assert_same(a.double(), b.double(), 2e-5), name


@pytest.mark.parametrize('cfg', [{}, dict(out_indices=(0, 1, 2))])
def test_training_step_equals_mmcls(cfg):
    ours = net(out_after_downsample=True, **cfg)
    theirs = mmcls_net(out_indices=cfg.get('out_indices', (2, )))
    theirs.load_state_dict(ours.state_dict())
    results = []
    for model in (ours, theirs):
        model.train()
        x = randn(4, 3, 32, 32).requires_grad_()
        outs = model(x)
        sum((out * randn(*out.shape, seed=1)).sum() for out in outs).backward()
        # Gradients as one vector: those of weights before a batch norm
        # cancel to almost nothing and have no relative accuracy of their own.
        grads = [x.grad, *(p.grad for p in model.parameters())]
        results.append([
            *outs,
            torch.cat([g.flatten() for g in grads]),
            *(b.double() for b in model.buffers())
        ])
    assert_same(*results)


@pytest.mark.parametrize('name', ['square', 'rectangular'])
@pytest.mark.parametrize('deploy', [False, True])
def test_equals_the_official_code(name, deploy):
    oracle = torch.load(DATA / f'repmlpnet_{name}.pt', weights_only=True)
    cfg = oracle['config']
    stages = len(cfg['channels'])
    model = RepMLPNet(
        dict(
            channels=cfg['channels'],
            depths=cfg['num_blocks'],
            sharesets_nums=cfg['sharesets_nums'],
            globalperceptron_divisor=1),
        img_size=(4 * cfg['hs'][0], 4 * cfg['ws'][0]),
        out_indices=(stages - 1, ),
        reparam_conv_kernels=cfg['reparam_conv_k'])
    classifier = nn.ModuleDict(
        dict(
            backbone=model,
            head=nn.ModuleDict(
                dict(fc=nn.Linear(cfg['channels'][-1], cfg['num_class'])))))
    classifier.load_state_dict(convert_to_mmcls(oracle['state_dict']))
    classifier.double().eval()
    if deploy:
        model.switch_to_deploy()
    features, = model(oracle['input'].double())
    logits = classifier['head']['fc'](features.mean((2, 3)))
    assert_same(logits, oracle['output'])


# --------------------------------------------------------------- any size


@pytest.mark.parametrize('size', [(32, 16), (64, 16), (32, 48), (96, 32)])
def test_multiples_of_the_training_size(size):
    # Config files give lists, which never match in mmcls.
    model = net(img_size=[32, 16], patch_size=[4, 4], out_indices=(0, 1, 2))
    merged = copy.deepcopy(model)
    merged.switch_to_deploy()
    x = randn(2, 3, *size)
    outs = model(x)
    assert [out.shape[2:] for out in outs] == [(size[0] >> i, size[1] >> i)
                                               for i in (2, 3, 4)]
    assert_same(merged(x), outs)


def test_size_that_the_strides_do_not_divide_works_as_in_mmcls():
    ours, theirs = net(img_size=38), mmcls_net(img_size=38)
    theirs.load_state_dict(ours.state_dict())
    x = randn(2, 3, 38, 38)
    assert_same(ours(x), theirs(x))
    with pytest.raises(ValueError, match='img_size=38x38: use 38x38$'):
        ours(randn(1, 3, 76, 76))


# ----------------------------------------------------------------- outputs


def test_without_final_norm():
    model = net(final_norm=False)
    assert 'final_norm.weight' not in model.state_dict()
    model(randn(1, 3, 32, 32))


# ---------------------------------------------------------- configurability


def test_norm_cfg_and_conv_cfg_reach_every_layer():
    model = RepMLPNet(
        **TINY_CFG,
        norm_cfg=dict(type='BN', eps=0.25),
        conv_cfg=dict(type='Conv2dAdaptivePadding'))
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert len(norms) == 4 * 7 + 1 + 2 + 1
    assert len(convs) == 4 * 7 + 1 + 2
    assert {m.eps for m in norms} == {0.25}
    assert {type(m).__name__ for m in convs} == {'Conv2dAdaptivePadding'}


def test_patch_cfg_goes_before_the_defaults():
    model = net(patch_cfg=dict(kernel_size=7, padding=3, bias=True))
    assert model.patch_embed.projection.kernel_size == (7, 7)
    assert model(randn(1, 3, 32, 32))[0].shape == (1, 32, 2, 2)


@pytest.mark.parametrize('wrong', [
    dict(arch='x'),
    dict(img_size=(1, 2, 3)),
    dict(patch_size=0),
    dict(out_indices=(3, )),
    dict(out_indices=()),
    dict(frozen_stages=3),
    dict(reparam_conv_kernels=(2, )),
    dict(drop_path_rate=1.)
])
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match=str(*wrong)):
        net(**wrong)


# ------------------------------------------------------- training features


def test_layer_depth():
    model = net()
    depth = {
        name: model.get_layer_depth(f'backbone.{name}', 'backbone.')
        for name in ('patch_embed.norm.bias', 'stages.0.0.norm1.bias',
                     'downsample_layers.0.conv.weight',
                     'stages.1.0.norm1.bias', 'stages.1.1.norm1.bias',
                     'stages.2.0.norm1.bias', 'final_norm.bias')
    }
    assert [*depth.values()] == [(i, 6) for i in (0, 1, 2, 2, 3, 4, 5)]
    assert model.get_layer_depth('head.fc.bias', 'backbone.') == (5, 6)


def test_bfloat16_model():
    model = net().bfloat16()
    x = randn(2, 3, 32, 32).bfloat16()
    merged = copy.deepcopy(model)
    merged.switch_to_deploy()
    assert model(x)[0].dtype is torch.bfloat16
    assert_same(merged(x)[0].double(), model(x)[0].double(), 5e-2)


@pytest.mark.parametrize('deploy', [False, True])
def test_autocast(deploy):
    model, x = net(deploy=deploy).float(), randn(4, 3, 32, 32).float()
    model.train(not deploy)
    expected = model(x)[0]
    with torch.autocast('cpu', torch.bfloat16):
        out = model(x)[0]
    assert_same(out.float(), expected, 0.1)
    out.sum().backward()
    assert all(p.grad.dtype is torch.float32 for p in model.parameters())


# -------------------------------------------------------- loading weights


@pytest.mark.parametrize(('wanted', 'given', 'message'), [
    ({}, dict(img_size=64), 'another image size.*of 16x16'),
    ({}, dict(arch=dict(TINY, depths=(1, 3, 1))), 'architecture.*1.2'),
    (dict(arch=dict(TINY, depths=(1, 3, 1))), {}, 'architecture.*1.2'),
])
def test_what_does_not_fit_is_refused_and_nothing_is_loaded(
        wanted, given, message):
    assert_refused(net(**wanted), net(seed=1, **given).state_dict(), message)
