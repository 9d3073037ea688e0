import copy
import re

import pytest
import torch

from mmcls_repmlp import RepMLPNet, reparameterize
from repmlp_lite.errors import InputError
from tests.helpers import (DATA, TINY_CFG, assert_equals_official, assert_same,
                           randn, random_model, randomize, shapes)
from tests.host_parts import HostRepMLPNet, host_twin


def net(**cfg):
    return random_model(RepMLPNet, **{**TINY_CFG, **cfg})


def images(n=2, size=32):
    return randn(n, 3, size, size)


@pytest.mark.parametrize('deploy', [False, True])
def test_arch_b_has_the_names_shapes_and_order_of_mmcls(deploy):
    with torch.device('meta'):
        ours = RepMLPNet('b', deploy=deploy)
        theirs = HostRepMLPNet('b', reparam_conv_kernels=(1, 3), deploy=deploy)
    assert shapes(ours) == shapes(theirs)
    # Optimizer states of checkpoints go by position.
    assert [name for name, _ in ours.named_parameters()
            ] == [name for name, _ in theirs.named_parameters()]


@pytest.mark.parametrize('kernels', [None, (3, ), (1, 3), (1, 3, 5)])
def test_training_form_equals_mmcls(kernels):
    ours = net(reparam_conv_kernels=kernels)
    theirs = host_twin(ours, reparam_conv_kernels=kernels)
    assert_same(ours(images()), theirs(images()))


@pytest.mark.parametrize('batch', [1, 64])
@pytest.mark.parametrize('with_gradients', [True, False])
def test_deploy_form_equals_mmcls(batch, with_gradients):
    # mmcls cannot convert in float64 but can load what was converted.
    ours = reparameterize(net())
    theirs, x = host_twin(ours, deploy=True), images(batch)
    with torch.set_grad_enabled(with_gradients):
        assert_same(ours(x), theirs(x))


def test_with_the_channels_of_b_both_forms_equal_mmcls_in_float32():
    # Other formulations are chosen there; one block of each stage is enough.
    # The residual branches are damped, or float32 activations overflow.
    arch = dict(
        channels=[96, 192, 384, 768],
        depths=[1, 1, 1, 1],
        sharesets_nums=[1, 4, 32, 128])
    ours = randomize(RepMLPNet(arch, 128)).eval()
    theirs = HostRepMLPNet(
        arch, img_size=128, reparam_conv_kernels=(1, 3)).eval()
    x = images(size=128).float()
    with torch.no_grad():
        for name, module in ours.named_modules():
            if re.search(r'ffn_fc2\.bn$|fc3_bn$|repconv\d\.bn$', name):
                module.weight.mul_(0.2)
                module.bias.mul_(0.2)
        theirs.load_state_dict(ours.state_dict())
        assert_same(ours(x), theirs(x), 2e-5)
        for model in (ours, theirs):
            model.switch_to_deploy()
        assert_same(ours(x), theirs(x), 2e-5)
    assert shapes(ours) == shapes(theirs)
    for a, b in zip(ours.parameters(), theirs.parameters()):
        assert_same(a, b, 2e-5)


def test_compiled_graph_gives_the_same():
    arch = dict(channels=(8, ), depths=(1, ), sharesets_nums=(4, ))
    model, x = net(arch=arch, out_indices=0).float().train(), images(4).float()
    results = []
    for run in (copy.deepcopy(model),
                torch.compile(copy.deepcopy(model), backend='aot_eager')):
        out = run(x)[0]
        (out * randn(*out.shape).float()).sum().backward()
        results.append([out, *(b.float() for b in run.buffers())])
    assert_same(*results, rtol=2e-4)


@pytest.mark.parametrize('out_indices', [(2, ), (0, 1, 2)])
def test_training_step_equals_mmcls(out_indices):
    ours = net(out_after_downsample=True, out_indices=out_indices)
    results = []
    for model in (ours, host_twin(ours, out_indices=out_indices)):
        x = images(4).requires_grad_()
        outs = model.train()(x)
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
    model = RepMLPNet(
        dict(
            channels=cfg['channels'],
            depths=cfg['num_blocks'],
            sharesets_nums=cfg['sharesets_nums'],
            globalperceptron_divisor=1),
        img_size=(4 * cfg['hs'][0], 4 * cfg['ws'][0]),
        reparam_conv_kernels=cfg['reparam_conv_k'])
    assert_equals_official(model, oracle, deploy)


@pytest.mark.parametrize(('cfg', 'message'), [
    (dict(img_size=33),
     'of all stages, 16x16, got 33x33: the nearest is 32x32'),
    (dict(img_size=(40, 5)), 'got 40x5: the nearest is 32x16'),
    (dict(img_size=24, pad_to_multiple=True), 'got 24x24'),
    (dict(patch_cfg=dict(padding=2)), 'maps of 8x8, .* got .9, 9.: change'),
])
def test_sizes_that_patch_and_strides_do_not_fit_are_refused(cfg, message):
    with pytest.raises(ValueError, match=message):
        RepMLPNet(**{**TINY_CFG, **cfg})


def test_without_final_norm():
    model, maps = net(final_norm=False), []
    model.stages[-1].register_forward_hook(lambda *call: maps.append(call[-1]))
    assert model(images())[0] is maps[0]
    assert not [key for key in model.state_dict() if 'final_norm' in key]


def test_patch_cfg_goes_before_the_defaults():
    model = net(patch_cfg=dict(kernel_size=7, padding=3, bias=True))
    assert model.patch_embed.projection.kernel_size == (7, 7)
    assert model(images())[0].shape == (2, 32, 2, 2)


@pytest.mark.parametrize('deploy', [False, True])
def test_autocast(deploy):
    model, x = net(deploy=deploy).float(), images(4).float()
    model.train(not deploy)
    expected = model(x)[0]
    with torch.autocast('cpu', torch.bfloat16):
        out = model(x)[0]
    assert_same(out.float(), expected, 0.1)
    out.sum().backward()
    assert all(p.grad.dtype is torch.float32 for p in model.parameters())


@pytest.mark.parametrize(('size', 'nearest'), [
    ((31, 16), '32x16'),
    ((29, 13), '32x16'),
    ((48, 16), '64x16|32x16'),
    ((32, 20), '32x16'),
    ((90, 28), '96x32'),
    ((4, 4), '32x16'),
    ((0, 16), '32x16'),
])
def test_other_sizes_are_refused_with_the_nearest_that_fits(size, nearest):
    model = net(img_size=(32, 16))
    with pytest.raises(
            InputError,
            match=f'{size[0]}x{size[1]} do not fit '
            f'img_size=32x16: .* nearest being ({nearest})$'):
        model(randn(1, 3, *size))
    height, width = map(int, nearest.split('|')[0].split('x'))
    assert len(model(randn(1, 3, height, width))) == 1
