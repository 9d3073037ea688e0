import pytest
import torch
from mmcv.cnn import ConvModule
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from mmcls_repmlp.models.plain_layers import (can_bypass, is_plain_conv_norm,
                                              is_pointwise, keeps_size,
                                              uses_running_statistics)
from tests.helpers import randn
from tests.host_parts import EFFICIENT


class OtherConv(nn.Conv2d):

    def forward(self, x):
        return 2 * super().forward(x)


class OtherTensor(torch.Tensor):
    """A tensor of another kind."""


def noop(*_):
    """See, but change nothing."""


def conv():
    return nn.Conv2d(4, 4, 1).double()


SEEN = dict(
    forward_hook=lambda c: c.register_forward_hook(noop),
    pre_hook=lambda c: c.register_forward_pre_hook(noop),
    backward_hook=lambda c: c.register_full_backward_hook(noop),
    old_backward_hook=lambda c: c.register_backward_hook(noop),
    backward_pre_hook=lambda c: c.register_full_backward_pre_hook(noop),
    pruned=lambda c: prune.l1_unstructured(c, 'weight', 0.5),
    weight_norm=parametrizations.weight_norm,
    parametrized=lambda c: parametrize.register_parametrization(
        c, 'weight', nn.Identity()),
    own_forward=lambda c: setattr(c, 'forward', noop),
    own_product=lambda c: setattr(c, '_conv_forward', noop),
    compiled=lambda c: c.compile(backend='eager'),
    other_weight=lambda c: setattr(
        c, 'weight', nn.Parameter(c.weight.data.as_subclass(OtherTensor))),
)


@pytest.mark.parametrize('see', SEEN)
def test_layers_that_could_observe_the_difference_are_called(see):
    layer, x = conv(), randn(2, 4, 1, 1)
    assert can_bypass(layer, x)
    seen = SEEN[see](layer)
    assert not can_bypass(layer, x)
    if see.endswith('hook'):
        seen.remove()
        assert can_bypass(layer, x)


@pytest.mark.parametrize('kind', [
    'forward_hook', 'forward_pre_hook', 'full_backward_hook',
    'full_backward_pre_hook'
])
def test_global_hooks(kind):
    layer, x = conv(), randn(2, 4, 1, 1)
    handle = getattr(nn.modules.module, f'register_module_{kind}')(noop)
    try:
        assert not can_bypass(layer, x)
    finally:
        handle.remove()
    assert can_bypass(layer, x)


@pytest.mark.parametrize('owner, name', [(nn.Conv2d, 'forward'),
                                         (nn.Conv2d, '_conv_forward'),
                                         (nn.Conv2d, '__call__'),
                                         (nn.Module, '__call__')])
def test_methods_replaced_in_a_whole_class(monkeypatch, owner, name):
    layer, x, original = conv(), randn(2, 4, 1, 1), getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args: original(*args))
    assert not can_bypass(layer, x)


@pytest.mark.parametrize(
    'layer', [OtherConv(4, 4, 1),
              nn.LazyConv2d(4, 1),
              nn.Identity()])
def test_other_classes_are_called(layer):
    assert not can_bypass(layer, torch.rand(2, 4, 1, 1))


def test_inputs_that_are_not_ordinary():
    layer, x, seen = conv(), randn(2, 4, 1, 1), []
    assert not can_bypass(layer, x[:0])
    assert not can_bypass(layer, x.as_subclass(OtherTensor))

    def see(y, z):
        seen.append(can_bypass(layer, z))
        return y

    torch.func.vmap(lambda y: see(y, y))(x)
    torch.func.vmap(lambda y: see(y, x))(x)
    assert seen == [False, False]


@pytest.mark.parametrize(('cfg', 'plain'), [
    ({}, True),
    (dict(order=('act', 'conv', 'norm')), False),
    ({EFFICIENT: True}, False),
    (dict(padding_mode='reflect'), False),
])  # yapf: disable
def test_conv_modules_set_otherwise_are_called(cfg, plain):
    norm = dict(type='BN')
    layer = ConvModule(4, 4, 3, padding=1, act_cfg=None, norm_cfg=norm, **cfg)
    assert is_plain_conv_norm(layer) is plain
    assert not is_plain_conv_norm(nn.Conv2d(4, 4, 3))


@pytest.mark.parametrize(('cfg', 'keeps'), [
    (dict(padding=1), True),
    (dict(padding='same'), True),
    ({}, False),
    (dict(padding=1, stride=2), False),
    (dict(padding=2, dilation=2), False),
    (dict(padding=1, padding_mode='circular'), False),
])
def test_convolutions_that_keep_the_size(cfg, keeps):
    assert keeps_size(nn.Conv2d(4, 4, 3, **cfg)) is keeps
    assert not keeps_size(nn.Linear(4, 4))


def test_pointwise_convolutions():
    assert is_pointwise(nn.Conv2d(4, 4, 1))
    for other in (nn.Conv2d(4, 4, 1,
                            stride=2), nn.Conv2d(4, 4, 1,
                                                 padding=1), nn.Linear(4, 4)):
        assert not is_pointwise(other)


def test_running_statistics():
    norm = nn.BatchNorm2d(4)
    assert not uses_running_statistics(norm)
    assert uses_running_statistics(norm.eval())
    norm.running_mean = None
    assert not uses_running_statistics(norm)


class SeeFunctions(TorchFunctionMode):

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


class SeeOperations(TorchDispatchMode):

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize('mode', [SeeFunctions, SeeOperations])
def test_layers_are_called_while_a_mode_is_active(mode):
    layer, x = conv(), randn(2, 4, 1, 1)
    with mode():
        assert not can_bypass(layer, x)
    # A default device is a mode, too.
    with torch.device('cpu'):
        assert can_bypass(layer, x)
        with mode():
            assert not can_bypass(layer, x)
    assert can_bypass(layer, x)


def test_so_they_are_in_a_trace():
    layer, found = conv(), []

    def see(x):
        found.append(can_bypass(layer, x))
        return x

    x = randn(2, 4, 1, 1)
    torch.jit.trace(see, x, check_trace=False)
    with SeeFunctions():
        torch.jit.trace(see, x, check_trace=False)
    assert found == [True, False]
