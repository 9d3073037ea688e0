import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from mmcls_repmlp import RepMLPBlock
from mmcls_repmlp.models.mergeable import merge_all
from tests.helpers import assert_same, randn, random_model
from tests.host_parts import EFFICIENT


class OtherConv(nn.Conv2d):

    def _conv_forward(self, x, weight, bias):
        return super()._conv_forward(x, 2 * weight, bias)


def assert_untouched(model, message):
    """Check that merging is refused in these words and changes nothing."""
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=message) as caught:
        merge_all(model)
    assert len(str(caught.value)) < 400
    assert before.keys() == model.state_dict().keys()
    for key, tensor in model.state_dict().items():
        if not tensor.is_meta:
            assert tensor.numpy().tobytes() == before[key].numpy().tobytes()


def put(name, layer):
    return lambda part: part.set_submodule(name, layer)


# What is done to the second of two blocks, and what the message says.
SPOILS = [
    (r'^1\.repconv3\.conv cannot .* pruned: .*prune\.remove',
     lambda part: prune.l1_unstructured(part.repconv3.conv, 'weight', 0.5)),
    (r'^1\.repconv3 cannot .* hooks',
     lambda part: part.repconv3.register_forward_pre_hook(lambda *_: None)),
    ('^1: layer type OtherConv .* fc3 could not be merged',
     put('fc3', OtherConv(16, 16, 1, groups=4))),
    ('^1: repconv3 is not a linear convolution .* padded with zeros',
     put('repconv3.conv',
         nn.Conv2d(4, 4, 3, padding=1, padding_mode='circular', groups=4))),
    ('^1: repconv3 is not a linear convolution',
     lambda part: setattr(part.repconv3, 'with_activation', True)),
    ('^1: repconv3 is not a ConvModule',
     lambda part: getattr(part.repconv3, f'turn_on_{EFFICIENT}')()),
    ('^1: .*device', lambda part: part.repconv1.to('meta')),
]


def blocks():
    return nn.ModuleList([
        random_model(
            RepMLPBlock,
            seed,
            channels=4,
            path_h=2,
            path_w=2,
            num_sharesets=4,
            reparam_conv_kernels=(1, 3)) for seed in (0, 1)
    ])


@pytest.mark.parametrize(('message', 'spoil'), SPOILS)
def test_the_layer_that_cannot_be_merged_is_named(message, spoil):
    model = blocks()
    spoil(model[1])
    assert_untouched(model, message)
    assert not any(part.deploy for part in model)


@pytest.mark.parametrize('trainable', [True, False])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_dtype_and_requires_grad_are_kept(trainable, dtype):
    part = blocks()[0].to(dtype).requires_grad_(trainable).train()
    exact = [t.to(dtype) for t in part.fold_layers()['fc3']]
    for _ in range(2):
        part.switch_to_deploy()
        assert_same([part.fc3.weight.data, part.fc3.bias.data], exact, 0)
    assert {p.requires_grad for p in part.parameters()} == {trainable}
    assert part.fc3.training


def test_a_layer_that_two_parts_share_is_named():
    model = blocks()
    model[1].fc3 = model[0].fc3
    assert_untouched(model, '^0.fc3 cannot be merged: it is shared')


def test_shared_weights_are_merged_apart_and_what_stands_twice_once():
    model, x = blocks(), randn(2, 4, 2, 2)
    model[1].fc3.weight = model[0].fc3.weight
    model.append(model[0])
    expected = [part(x).detach() for part in model]
    merge_all(model)
    assert_same([part(x).detach() for part in model], expected)


def test_weights_too_large_for_half_precision_are_refused():
    model = blocks().half()
    for layer in (model[0].fc3_bn, model[0].fc3):
        layer.weight.data.fill_(6e4)
    assert_untouched(model, '^0: fc3 would not be finite in torch.float16')


def test_unaffected_modules_may_have_hooks_and_be_pruned():
    model, x, seen = blocks(), randn(2, 4, 2, 2), []
    prune.l1_unstructured(model[0].gp.conv1.conv, 'weight', 0.5)
    model[0].gp.register_forward_hook(lambda *_: seen.append('gp'))
    model[0].register_forward_hook(lambda *_: seen.append('block'))
    expected = model[0](x).detach()
    merge_all(model)
    assert_same(model[0](x).detach(), expected)
    assert seen == ['gp', 'block'] * 2


@pytest.mark.parametrize('context', [
    torch.inference_mode, torch.no_grad,
    lambda: torch.autocast('cpu', torch.bfloat16)
])
def test_merged_in_any_mode_a_model_can_be_trained_and_loaded(context):
    model, plain, x = blocks(), blocks(), randn(2, 4, 2, 2)
    merge_all(plain)
    with context():
        merge_all(model)
    assert not any(tensor.is_inference() for tensor in model.parameters())
    assert_same([*model.parameters()], [*plain.parameters()], 0)
    model[1](model[0](x)).sum().backward()
    assert all(tensor.grad is not None for tensor in model.parameters())
    model.load_state_dict(plain.state_dict())
    copy.deepcopy(model)


def test_on_the_meta_device_the_structure_is_merged():
    model = blocks().to('meta')
    merge_all(model)
    assert all(part.deploy and part.fc3.bias.is_meta for part in model)
