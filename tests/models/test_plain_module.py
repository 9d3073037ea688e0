"""The backbones are plain modules: hooks, changed layers and transforms work
as in mmcls' RepMLPNet."""
import copy
from collections import Counter

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.nn.utils import parametrizations, prune

from mmcls_repmlp import (RepMLPCifarNet, RepMLPNet, RepMLPResNet,
                          fuse_for_inference, reparameterize)
from mmcls_repmlp.models import partition_perceptron
from mmcls_repmlp.models.repmlpnet import repmlp_block
from tests.helpers import (TINY_CFG, TINY_CIFAR_CFG, TINY_RESNET_CFG,
                           assert_same, randn, random_model)
from tests.host_parts import host_twin

MODELS = dict(
    net=(RepMLPNet, TINY_CFG, 32),
    light=(RepMLPResNet, TINY_RESNET_CFG, 64),
    bottleneck=(RepMLPResNet, dict(TINY_RESNET_CFG, block='bottleneck'), 64),
    cifar=(RepMLPCifarNet, TINY_CIFAR_CFG, 8))
KINDS = ('forward_pre_hook', 'forward_hook', 'full_backward_pre_hook',
         'full_backward_hook')
FORMS = dict(
    training=lambda model: model,
    deploy=reparameterize,
    fused=fuse_for_inference)
CONTAINERS = 'stages', 'downsample_layers'
ignoring_warnings_of_quantization = pytest.mark.filterwarnings(
    'ignore::DeprecationWarning', 'ignore::UserWarning')
every_model = pytest.mark.parametrize('name', MODELS)
with_and_without_gradients = pytest.mark.parametrize('with_gradients',
                                                     [False, True])


def build(name, **cfg):
    cls, defaults, _ = MODELS[name]
    return random_model(cls, **{**defaults, **cfg})


def images(name, count=2):
    return randn(count, 3, *[MODELS[name][2]] * 2)


def run(model, x, with_gradients=True):
    """The last map, by itself."""
    with torch.set_grad_enabled(with_gradients):
        out = model(x)[-1]
    return out if with_gradients and x.requires_grad else out.detach()


@every_model
@pytest.mark.parametrize(('deploy', 'training'),
                         [(False, True), (False, False), (True, False)])
@with_and_without_gradients
def test_every_module_is_called(name, deploy, training, with_gradients):
    model, counts = build(name, deploy=deploy).train(training), Counter()
    for module, layer in model.named_modules(remove_duplicate=False):
        for kind in KINDS:
            getattr(layer, f'register_{kind}')(
                lambda *_, key=(module, kind): counts.update([key]))
    x = images(name).requires_grad_(with_gradients)
    out = run(model, x, with_gradients)
    if with_gradients:
        out.sum().backward()
    kinds = KINDS if with_gradients else KINDS[:2]
    for module, _ in model.named_modules():
        if module not in CONTAINERS:
            # Both branches of a RepMLPNet's block share it.
            twice = name == 'net' and module.endswith('.drop_path')
            assert {counts[module, kind] for kind in kinds} == {1 + twice}


@pytest.mark.parametrize('training', [False, True])
@with_and_without_gradients
@pytest.mark.parametrize('place', [
    'stages.1.0', 'stages.1.1.repmlp_block.fc3',
    'stages.0.0.repmlp_block.repconv3', 'stages.2.0.repmlp_block.repconv1.bn',
    'stages.0.0.ffn_block.ffn_fc2.conv', 'stages.0.0.ffn_block.act'
])
def test_a_hook_has_the_effect_it_has_in_mmcls(training, with_gradients,
                                               place):
    ours, results = build('net'), []
    theirs = host_twin(ours)
    theirs.patch_embed.act = theirs.patch_embed.relu
    for model in (ours, theirs):
        layer, shapes = model.get_submodule(place), []
        layer.register_forward_pre_hook(
            lambda _, args, into=shapes: into.append(args[0].shape))
        layer.register_forward_hook(lambda _, args, out: out * 2 + 1)
        model.train(training)
        results.append((run(model, images('net'), with_gradients), shapes))
    (out, seen), (expected, expected_shapes) = results
    assert_same(out, expected)
    assert seen == expected_shapes


@every_model
def test_without_hooks_the_fast_formulations_are_used(name, monkeypatch):
    used = Counter()

    def count(module, function):
        original = getattr(module, function)
        monkeypatch.setattr(
            module, function,
            lambda *args: used.update([function]) or original(*args))

    count(partition_perceptron, 'shareset_fc')
    count(partition_perceptron, 'local_conv')
    count(repmlp_block, 'pointwise_ffn')
    model = build(name)
    run(model, images(name), False)
    blocks = sum(key.endswith('.fc3') for key, _ in model.named_modules())
    assert blocks and used['shareset_fc'] == blocks
    if name == 'net':
        assert used['local_conv'] == 2 * blocks
        # Few positions in the last stage do not repay folding.
        assert used['pointwise_ffn'] == blocks - 1


def weighted(model):
    return {
        key: layer
        for key, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    }


@every_model
@pytest.mark.parametrize('change', [
    lambda layer: prune.l1_unstructured(layer, 'weight', 0.5),
    parametrizations.weight_norm, nn.utils.spectral_norm
])
def test_a_pruned_or_parametrized_model_computes_and_trains(name, change):
    model, plain, x = build(name), build(name), images(name)
    for layer in weighted(model).values():
        change(layer)
    model.train()(x)[-1].square().mean().backward()
    assert all(tensor.grad is not None for tensor in model.parameters())
    torch.optim.SGD(model.parameters(), 0.01).step()
    model.eval()
    results = [run(model, x, grad) for grad in (True, False)]
    state = model.state_dict()
    for key, layer in weighted(model).items():
        state[f'{key}.weight'] = layer.weight
    plain.load_state_dict({key: state[key] for key in plain.state_dict()})
    assert_same(results, [run(plain, x)] * 2)


@every_model
def test_gradients_per_sample(name):
    model, x = build(name), images(name, 3)
    buffers = dict(model.named_buffers())

    def loss(parameters, image):
        out = torch.func.functional_call(model, (parameters, buffers),
                                         (image[None], ))
        return out[-1].square().sum()

    together = torch.func.vmap(torch.func.grad(loss),
                               (None, 0))(dict(model.named_parameters()), x)
    for i in range(3):
        model.zero_grad()
        model(x[i:i + 1])[-1].square().sum().backward()
        for key, tensor in model.named_parameters():
            assert_same(together[key][i], tensor.grad, 1e-9)


@pytest.mark.parametrize('form', FORMS)
@every_model
def test_a_sample_at_a_time_without_gradients(name, form):
    model, x = FORMS[form](build(name)), images(name, 3)
    with torch.no_grad():
        out = torch.func.vmap(lambda image: model(image[None])[-1][0])(x)
        assert_same(out, model(x)[-1], 1e-10)


@every_model
@with_and_without_gradients
def test_forward_mode(name, with_gradients):
    model, x = build(name), images(name, 1)
    parameters = dict(model.named_parameters())
    along = {
        key: randn(*tensor.shape, seed=3)
        for key, tensor in parameters.items()
    }
    gradients = torch.autograd.grad(
        model(x)[-1].square().sum(), [*parameters.values()])
    expected = sum(
        torch.sum(gradient * along[key])
        for key, gradient in zip(along, gradients))
    with forward_ad.dual_level(), torch.set_grad_enabled(with_gradients):
        duals = {
            key: forward_ad.make_dual(tensor.detach(), along[key])
            for key, tensor in parameters.items()
        }
        out = torch.func.functional_call(model, duals, (x, ))[-1]
        actual = forward_ad.unpack_dual(out.square().sum()).tangent
    assert_same(actual, expected, 1e-9)


@every_model
@pytest.mark.parametrize(('form', 'training'), [('training', True),
                                                ('deploy', False),
                                                ('fused', False)])
@with_and_without_gradients
def test_an_empty_batch(name, form, training, with_gradients):
    model = FORMS[form](build(name, out_indices=(0, 1)))
    shapes = [out.shape[1:] for out in model(images(name))]
    model.train(training)
    x = images(name)[:0].clone().requires_grad_(with_gradients)
    with torch.set_grad_enabled(with_gradients):
        outs = model(x)
    assert [out.shape for out in outs] == [(0, *s) for s in shapes]
    if with_gradients:
        sum(out.sum() for out in outs).backward()
        assert x.grad.shape == x.shape
        assert not any(tensor.grad.any() for tensor in model.parameters()
                       if tensor.grad is not None)


@ignoring_warnings_of_quantization
@every_model
def test_every_fake_quantizer_sees_its_weight(name):
    model = build(name).float().train()
    model.qconfig = torch.ao.quantization.get_default_qat_qconfig('onednn')
    torch.ao.quantization.prepare_qat(model, inplace=True)
    for _ in range(2):
        model(images(name).float())[-1].square().mean().backward()
    seen = [
        module.weight_fake_quant.activation_post_process.min_val
        for module in model.modules() if hasattr(module, 'weight_fake_quant')
    ]
    assert len(seen) == len(weighted(model)) > 7
    assert all(low.numel() and low.isfinite().all() for low in seen)


@every_model
def test_layouts_and_copies(name):
    model, x = build(name), images(name)
    expected = run(model, x)
    for same in (x.to(memory_format=torch.channels_last), x.mT.contiguous().mT,
                 x.expand(1, *x.shape)[0], x.clone().requires_grad_()):
        assert_same(run(model, same), expected, 1e-11)
    averaged = torch.optim.swa_utils.AveragedModel(model)
    averaged.update_parameters(model)
    assert_same(run(averaged.eval(), x), expected)
    made = copy.deepcopy(model).to('meta')
    assert made(x.to('meta'))[-1].shape == expected.shape
    made.to_empty(device='cpu').load_state_dict(model.state_dict())
    assert_same(run(made, x), expected)


ONE_STAGE = dict(
    arch=dict(channels=(8, ), depths=(1, ), sharesets_nums=(4, )),
    out_indices=0)


@pytest.mark.parametrize('change', [
    lambda layer: layer.register_forward_hook(lambda _, args, out: out * 2),
    lambda layer: prune.l1_unstructured(layer, 'weight', 0.5)
])
def test_compiled_with_hooks_or_pruned(change):
    model, x = build('net', **ONE_STAGE), images('net')
    plain = run(model, x)
    change(model.stages[0][0].repmlp_block.fc3)
    torch._dynamo.reset()
    graph = torch.compile(model, backend='eager', fullgraph=True)
    out = run(graph, x)
    assert_same(out, run(model, x), 1e-11)
    assert not torch.allclose(out, plain)


def test_exported_graphs_have_the_fast_formulation():
    model, x = build('net', **ONE_STAGE), images('net')
    graph = torch.export.export(model, (x, ), strict=False).graph
    convs = [node for node in graph.nodes if 'aten.conv' in str(node.target)]
    layers = [
        key for key, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d) and not key.endswith('fc3')
    ]
    assert len(convs) == len(layers)
