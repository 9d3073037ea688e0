"""The backbones are plain modules: whatever watches, changes or transforms
their layers meets them as in mmcls' RepMLPNet, or in a plain walk."""
import copy

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import \
    apply_activation_checkpointing
from torch.nn.utils import parametrizations, prune

from mmcls_repmlp import RepMLPCifarNet, RepMLPNet, RepMLPResNet
from mmcls_repmlp.deploy import fuse_for_inference
from mmcls_repmlp.models import partition_perceptron
from mmcls_repmlp.models.repmlpnet import layers as layers_module
from tests.helpers import (TINY, TINY_CFG, TINY_CIFAR_CFG, TINY_RESNET_CFG,
                           assert_same, randn, random_model)
from tests.host_parts import HostRepMLPNet

MODELS = dict(
    net=(RepMLPNet, TINY_CFG, 32),
    light=(RepMLPResNet, TINY_RESNET_CFG, 64),
    bottleneck=(RepMLPResNet, dict(TINY_RESNET_CFG, block='bottleneck'), 64),
    cifar=(RepMLPCifarNet, TINY_CIFAR_CFG, 8))
KINDS = ('forward_pre_hook', 'forward_hook', 'full_backward_pre_hook',
         'full_backward_hook')
CONTAINERS = 'stages', 'downsample_layers'
ignoring_warnings_of_quantization = pytest.mark.filterwarnings(
    'ignore::DeprecationWarning', 'ignore::UserWarning')
every_model = pytest.mark.parametrize('name', MODELS)


def build(name, **cfg):
    cls, defaults, _ = MODELS[name]
    return random_model(cls, **{**defaults, **cfg})


def images(name, count=2, seed=0):
    return randn(count, 3, *[MODELS[name][2]] * 2, seed=seed)


def mmcls_net(ours):
    """mmcls' own network with the weights of ours."""
    net = random_model(
        HostRepMLPNet,
        reparam_conv_kernels=(1, 3),
        deploy=ours.deploy,
        arch={
            key: [*value]
            for key, value in TINY.items()
        },
        **{key: TINY_CFG[key]
           for key in ('img_size', 'out_indices')})
    net.load_state_dict(ours.state_dict())
    net.patch_embed.act = net.patch_embed.relu
    return net


def calls(model, x, with_gradients, kinds=KINDS):
    """Count how often hooks of every kind meet each module, by name."""
    counts = {}
    for name, module in model.named_modules(remove_duplicate=False):
        for kind in kinds:

            def count(*_, key=(name, kind)):
                counts[key] = counts.get(key, 0) + 1

            getattr(module, f'register_{kind}')(count)
    with torch.set_grad_enabled(with_gradients):
        out = model(x.clone().requires_grad_(with_gradients))[-1]
        if with_gradients:
            out.sum().backward()
    return counts


@every_model
@pytest.mark.parametrize('deploy', [False, True])
@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('with_gradients', [False, True])
def test_every_module_is_called(name, deploy, training, with_gradients):
    model = build(name, deploy=deploy).train(training)
    counts = calls(model, images(name), with_gradients)
    kinds = KINDS if with_gradients else KINDS[:2]
    twice = '.drop_path' if name == 'net' else '!'
    for module, _ in model.named_modules():
        if module not in CONTAINERS:
            expected = 2 if module.endswith(twice) else 1
            assert [counts.get((module, kind))
                    for kind in kinds] == [expected] * len(kinds), module


@every_model
def test_every_module_is_called_under_checkpointing(name):
    model = build(name, with_cp=True).train()
    counts = calls(model, images(name), True)
    stages = {f'stages.{i}'
              for i in range(4)} | {f'stage{i}'
                                    for i in range(1, 5)}
    for module, _ in model.named_modules():
        if module in CONTAINERS:
            continue
        inside = any(module.startswith(f'{stage}.') for stage in stages)
        # Recomputing stops where nothing is needed any more.
        if not module.endswith('.drop_path'):
            assert counts[module, 'forward_pre_hook'] == 1 + inside
        assert (module, 'full_backward_hook') in counts, module


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('with_gradients', [False, True])
@pytest.mark.parametrize('place', [
    'stages.0', 'stages.1.0', 'stages.1.1.repmlp_block.fc3',
    'stages.1.1.repmlp_block.fc3_bn', 'stages.0.0.repmlp_block.repconv3',
    'stages.2.0.repmlp_block.repconv1.conv',
    'stages.2.0.repmlp_block.repconv1.bn', 'stages.0.0.ffn_block.ffn_fc1',
    'stages.0.0.ffn_block.ffn_fc2.conv', 'stages.0.0.ffn_block.ffn_fc1.bn',
    'stages.0.0.ffn_block.act', 'stages.0.0.repmlp_block.gp.conv2'
])
def test_a_hook_changes_what_it_changes_in_mmcls(training, with_gradients,
                                                 place):
    ours = build('net')
    theirs = mmcls_net(ours)
    results = []
    for model in (ours, theirs):
        layer, shapes = model.get_submodule(place), []
        layer.register_forward_pre_hook(
            lambda _, args, into=shapes: into.append(args[0].shape))
        layer.register_forward_hook(lambda _, args, out: out * 2 + 1)
        model.train(training)
        with torch.set_grad_enabled(with_gradients):
            results.append((model(images('net'))[-1].detach(), shapes))
    assert_same(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]


@every_model
def test_a_global_hook_meets_every_module(name):
    model, met = build(name), set()
    handle = nn.modules.module.register_module_forward_hook(
        lambda module, *_: met.add(module))
    try:
        with torch.no_grad():
            model(images(name))
    finally:
        handle.remove()
    assert {
        module
        for key, module in model.named_modules() if key not in CONTAINERS
    } == met


@every_model
def test_without_a_witness_the_fast_formulations_are_used(name, monkeypatch):
    used = []
    for module, function in ((partition_perceptron, 'shareset_fc'),
                             (partition_perceptron,
                              'local_conv'), (layers_module, 'pointwise_ffn')):
        original = getattr(module, function)
        monkeypatch.setattr(
            module,
            function,
            lambda *args, original=original, function=function: used.append(
                function) or original(*args))
    model = build(name)
    with torch.no_grad():
        model(images(name))
    layers = [key for key, _ in model.named_modules()]
    blocks = sum(key.endswith('.fc3') for key in layers)
    assert blocks and used.count('shareset_fc') == blocks
    if name == 'net':
        assert used.count('local_conv') == 2 * blocks
        # Few positions in the last stage do not repay folding.
        assert used.count('pointwise_ffn') == blocks - 1


def weighted(model):
    return {
        key: layer
        for key, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    }


@every_model
@pytest.mark.parametrize('structured', [False, True])
def test_a_pruned_model_computes_trains_and_merges(name, structured):
    model = build(name).train()
    for layer in weighted(model).values():
        if structured:
            prune.ln_structured(layer, 'weight', 0.5, n=2, dim=0)
        else:
            prune.l1_unstructured(layer, 'weight', 0.5)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    before = {key: tensor.clone() for key, tensor in model.named_parameters()}
    model(images(name))[-1].square().mean().backward()
    optimizer.step()
    assert not [
        key for key, tensor in model.named_parameters()
        if key.endswith('weight_orig') and torch.equal(tensor, before[key])
    ]
    plain = build(name)
    state = model.state_dict()
    plain.load_state_dict({
        key: state[f'{key}_orig'] *
        state[f'{key}_mask'] if f'{key}_orig' in state else state[key]
        for key in plain.state_dict()
    })
    model.eval()
    expected = plain(images(name))[-1].detach()
    assert_same(model(images(name))[-1].detach(), expected)
    with pytest.raises(ValueError, match=r'prune\.remove'):
        model.switch_to_deploy()
    assert state.keys() == model.state_dict().keys()
    for layer in weighted(model).values():
        prune.remove(layer, 'weight')
    model.switch_to_deploy()
    assert_same(model(images(name))[-1].detach(), expected, 1e-9)


@every_model
@pytest.mark.parametrize('parametrization', [
    parametrizations.weight_norm, parametrizations.spectral_norm,
    parametrizations.orthogonal, nn.utils.spectral_norm
])
def test_a_parametrized_model_computes_and_trains(name, parametrization):
    model = build(name)
    for layer in weighted(model).values():
        parametrization(layer)
    results = []
    for with_gradients in (True, False):
        with torch.set_grad_enabled(with_gradients):
            results.append(model(images(name))[-1].detach())
    assert_same(*results)
    model.train()(images(name))[-1].square().mean().backward()
    assert all(tensor.grad is not None for tensor in model.parameters())
    plain = build(name)
    plain.load_state_dict({
        key: model.get_submodule(key.rpartition('.')[0]).weight.detach()
        if key.rpartition('.')[0] in weighted(plain) and key.endswith('weight')
        else model.state_dict().get(key, tensor)
        for key, tensor in plain.state_dict().items()
    })
    assert_same(model.eval()(images(name))[-1].detach(),
                plain(images(name))[-1].detach())


class LowRank(nn.Conv2d):
    """A convolution with a low-rank addition, as adapters have."""

    @classmethod
    def around(cls, conv):
        made = cls(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            conv.stride,
            conv.padding,
            groups=conv.groups,
            bias=conv.bias is not None).double()
        made.load_state_dict(conv.state_dict())
        rows = made.weight.flatten(1)
        made.up, made.down = (
            nn.Parameter(randn(*shape))
            for shape in ((len(rows), 1), (1, rows.shape[1])))
        return made

    def addition(self):
        return (self.up @ self.down).view_as(self.weight)

    def forward(self, x):
        return self._conv_forward(x, self.weight + self.addition(), self.bias)


@every_model
@pytest.mark.parametrize('with_gradients', [False, True])
def test_adapters_put_in_place_of_layers_are_met(name, with_gradients):
    model = build(name)
    plain = copy.deepcopy(model)
    for key, layer in weighted(model).items():
        if isinstance(layer, nn.Conv2d):
            parent, _, child = key.rpartition('.')
            adapted = LowRank.around(layer)
            setattr(model.get_submodule(parent), child, adapted)
            with torch.no_grad():
                plain.get_submodule(key).weight.add_(adapted.addition())
    with torch.set_grad_enabled(with_gradients):
        assert_same(
            model(images(name))[-1].detach(),
            plain(images(name))[-1].detach())
    with pytest.raises(ValueError, match='LowRank does not apply its weight'):
        model.switch_to_deploy()
    assert not any(part.deploy for part in model.mergeable_parts())


@pytest.mark.parametrize('change', [
    lambda ffn: setattr(ffn, 'act', nn.ReLU()),
    lambda ffn: setattr(ffn, 'act', nn.GELU('tanh')),
    lambda ffn: ffn.ffn_fc1.bn.train(),
    lambda ffn: setattr(ffn.ffn_fc2, 'bn',
                        nn.GroupNorm(2, 8).double()),
    lambda ffn: setattr(ffn.ffn_fc1, 'conv',
                        nn.Conv2d(8, 32, 1, groups=2).double())
])
def test_parts_of_the_ffn_that_were_replaced_are_met(change):
    model = build('net')
    change(model.stages[0][0].ffn_block)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        actual = model(images('net'))[-1]
    assert_same(actual, twin(images('net'))[-1].detach())


@pytest.mark.parametrize('change', [
    dict(padding=2, dilation=2),
    dict(padding=1, padding_mode='circular'),
    dict(padding=1, bias=True),
    dict(padding=1, groups=2)
])
def test_local_convolutions_that_were_replaced_are_met(change):
    block = build('net').stages[1][0].repmlp_block
    block.repconv3.conv = nn.Conv2d(4, 4, 3, **{
        **dict(groups=4, bias=False),
        **change
    }).double()
    x = randn(2, 16, 4, 4)
    plain = x.reshape(8, 4, 4, 4)
    expected = block.fc3_bn(
        block.fc3(plain.reshape(8, 64, 1, 1)).view(8, 4, 4, 4))
    expected = expected + block.repconv1(plain) + block.repconv3(plain)
    assert_same(block(x), expected.view_as(x) * block.gp(x))


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


@every_model
def test_models_of_several_weights_at_once(name):
    models = [build(name, seed=seed) for seed in (0, 1)]
    stacked = torch.func.stack_module_state(models)
    x = images(name)
    with torch.no_grad():
        out = torch.func.vmap(lambda *state: torch.func.functional_call(
            models[0], state, (x, ))[-1])(*stacked)
    assert_same(out, torch.stack([m(x)[-1].detach() for m in models]), 1e-10)


@pytest.mark.parametrize('form', ['training', 'deploy', 'fused'])
@every_model
def test_a_sample_at_a_time_without_gradients(name, form):
    model = build(name, deploy=form == 'deploy')
    model = fuse_for_inference(model) if form == 'fused' else model
    x = images(name, 3)
    with torch.no_grad():
        out = torch.func.vmap(lambda image: model(image[None])[-1][0])(x)
        assert_same(out, model(x)[-1], 1e-10)


@every_model
def test_forward_mode(name):
    model, x = build(name), images(name, 1)
    along = {
        key: randn(*tensor.shape, seed=3)
        for key, tensor in model.named_parameters()
    }
    expected = sum(
        torch.sum(grad * along[key]) for key, grad in zip(
            along,
            torch.autograd.grad(
                model(x)[-1].square().sum(), [*model.parameters()])))
    for with_gradients in (True, False):
        with forward_ad.dual_level(), torch.set_grad_enabled(with_gradients):
            out = torch.func.functional_call(
                model, {
                    key: forward_ad.make_dual(tensor.detach(), along[key])
                    for key, tensor in model.named_parameters()
                }, (x, ))[-1]
            actual = forward_ad.unpack_dual(out.square().sum()).tangent
        assert_same(actual, expected, 1e-9)


@every_model
def test_second_derivatives(name):
    model, x = build(name), images(name, 1)

    def loss(scale):
        return model(x * scale)[-1].square().mean()

    scale = torch.tensor(0.7, dtype=torch.double, requires_grad=True)
    first, = torch.autograd.grad(loss(scale), scale, create_graph=True)
    second, = torch.autograd.grad(first, scale)
    assert_same(torch.func.hessian(loss)(scale.detach()), second, 1e-9)
    assert_same(torch.func.jacfwd(loss)(scale.detach()), first.detach(), 1e-9)


@every_model
@pytest.mark.parametrize('deploy', [False, True])
@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('with_gradients', [False, True])
def test_an_empty_batch(name, deploy, training, with_gradients):
    model = build(name, deploy=deploy, out_indices=(0, 1))
    shapes = [out.shape[1:] for out in model(images(name))]
    model.train(training)
    x = images(name)[:0].clone().requires_grad_(with_gradients)
    with torch.set_grad_enabled(with_gradients):
        outs = model(x)
        assert [out.shape for out in outs] == [(0, *s) for s in shapes]
        if with_gradients:
            sum(out.sum() for out in outs).backward()
            assert x.grad.shape == x.shape
            assert all(not t.grad.any() for t in model.parameters()
                       if t.grad is not None)


@every_model
def test_an_empty_batch_of_the_fused_form(name):
    model = build(name)
    fused = fuse_for_inference(model)
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            assert fused(images(name)[:0])[-1].shape == (0, *model(
                images(name))[-1].shape[1:])


@ignoring_warnings_of_quantization
@every_model
def test_every_fake_quantizer_sees_its_weight(name):
    model = build(name).float().train()
    model.qconfig = torch.ao.quantization.get_default_qat_qconfig('onednn')
    torch.ao.quantization.prepare_qat(model, inplace=True)
    for _ in range(2):
        model(images(name).float())[-1].square().mean().backward()
    fakes = [
        module.weight_fake_quant for module in model.modules()
        if hasattr(module, 'weight_fake_quant')
    ]
    assert len(fakes) == len(weighted(model)) > 7
    assert all(fake.activation_post_process.min_val.isfinite().all()
               and fake.activation_post_process.min_val.numel()
               for fake in fakes)
    with pytest.raises(ValueError, match='cannot be merged|could not be'):
        model.switch_to_deploy()


@every_model
def test_layouts_and_copies(name):
    model, x = build(name), images(name)
    expected = model(x)[-1].detach()
    for same in (x.to(memory_format=torch.channels_last), x.mT.contiguous().mT,
                 x.expand(1, *x.shape)[0], x.clone().requires_grad_()):
        assert_same(model(same)[-1].detach(), expected, 1e-11)
    averaged = torch.optim.swa_utils.AveragedModel(model)
    averaged.update_parameters(model)
    assert_same(averaged.eval()(x)[-1].detach(), expected)
    made = copy.deepcopy(model).to('meta')
    assert made(x.to('meta'))[-1].shape == expected.shape
    made.to_empty(device='cpu').load_state_dict(model.state_dict())
    assert_same(made(x)[-1].detach(), expected)


@pytest.mark.parametrize('name', ['net', 'cifar'])
def test_compiled_with_what_watches(name):
    # Of one block, as compiling takes its time.
    one = dict(
        net=dict(
            arch=dict(channels=(8, ), depths=(1, ), sharesets_nums=(4, ))),
        cifar=dict(channels=(4, ), depth=1))
    model, x = build(name, **one[name], out_indices=0), images(name)
    layer = next(m for k, m in model.named_modules() if k.endswith('fc3'))
    graph = torch.compile(model, backend='eager', fullgraph=True)
    plain = graph(x)[-1].detach()
    assert_same(plain, model(x)[-1].detach(), 1e-11)
    handle = layer.register_forward_hook(lambda _, args, out: out * 2)
    torch._dynamo.reset()
    hooked = torch.compile(model, backend='eager', fullgraph=True)(x)
    assert_same(hooked[-1].detach(), model(x)[-1].detach(), 1e-11)
    handle.remove()
    prune.l1_unstructured(layer, 'weight', 0.5)
    torch._dynamo.reset()
    pruned = torch.compile(model, backend='eager', fullgraph=True)(x)
    assert_same(pruned[-1].detach(), model(x)[-1].detach(), 1e-11)
    assert not torch.allclose(pruned[-1], plain)


@every_model
def test_exported_graphs_have_the_fast_formulation(name):
    model = build(name)
    graph = torch.export.export(model, (images(name), ), strict=False).graph
    convs = [node for node in graph.nodes if 'aten.conv' in str(node.target)]
    fc3 = [key for key, _ in model.named_modules() if key.endswith('fc3')]
    assert len(convs) == sum(
        isinstance(module, nn.Conv2d) for module in model.modules()) - len(fc3)


class Told(torch.Tensor):
    """A tensor that is told apart, and computes as any other."""


@every_model
@pytest.mark.parametrize('with_gradients', [False, True])
def test_tensors_of_another_class(name, with_gradients):
    model, x = build(name), images(name)
    expected = model(x)[-1].detach()
    with torch.set_grad_enabled(with_gradients):
        out = model(x.as_subclass(Told))[-1]
    assert type(out) is Told
    assert_same(out.detach().as_subclass(torch.Tensor), expected)


@every_model
def test_layers_wrapped_to_be_checkpointed(name):
    model, x = build(name), images(name)
    expected = model(x)[-1].detach()
    apply_activation_checkpointing(
        model, check_fn=lambda layer: isinstance(layer, nn.Conv2d | nn.GELU))
    for with_gradients in (True, False):
        with torch.set_grad_enabled(with_gradients):
            assert_same(model(x)[-1].detach(), expected)
