"""Conditions under which a layer may be bypassed.

Fast formulations read the weights of a layer without calling it. That is right
only if the difference cannot be observed: a hook, a pruning mask, a
parametrization, another forward or a fake-quantizer must work as in any
module. So they ask here at every call, and otherwise call the layer.
"""
from __future__ import annotations

import torch
from mmcv.cnn import ConvModule
from mmcv.cnn.bricks.conv2d_adaptive_padding import Conv2dAdaptivePadding
from mmcv.cnn.bricks.wrappers import Conv2d as MmcvConv2d
from mmengine.model.utils import _BatchNormXd
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.nn.modules.batchnorm import _BatchNorm

from mmcls_repmlp.ops import has_active_mode, is_traced, is_transformed

# Convolutions that apply their `weight` as it is, padded with zeros. Others
# (weight standardisation, deformable, ...) do not.
PLAIN_CONVS = nn.Conv2d, MmcvConv2d, Conv2dAdaptivePadding
PLAIN_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d,
               nn.SyncBatchNorm, _BatchNormXd)
# The methods as they were at import: profilers replace methods of classes, as
# torch does while it traces.
FORWARDS = {
    kind: kind.forward
    for kind in (*PLAIN_CONVS, *PLAIN_NORMS, ConvModule, nn.Linear, nn.GELU)
}
_CALL, _CONV = nn.Module.__call__, nn.Conv2d._conv_forward


def is_plain(module: nn.Module) -> bool:
    """Return whether calling a module runs the forward of its class only.

    Its class must be a known one, not a subclass (as parametrizations,
    quantization and adapters make), with its original forward, and no hook of
    its own or global may be registered.
    """
    kind = type(module)
    return (FORWARDS.get(kind) is kind.forward
            and (kind.__call__ is _CALL or is_traced())
            and 'forward' not in module.__dict__
            and '_conv_forward' not in module.__dict__
            and nn.Conv2d._conv_forward is _CONV
            and module._compiled_call_impl is None and not has_hooks(module)
            and not torch_module._has_any_global_hook())


def has_hooks(module: nn.Module) -> bool:
    """Return whether a module has hooks of its own on forward or backward."""
    return bool(module._forward_hooks or module._forward_pre_hooks
                or module._backward_hooks or module._backward_pre_hooks)


def can_bypass(layer: nn.Module, x: Tensor) -> bool:
    """Return whether another formulation may stand for ``layer(x)``.

    The layer must be plain, both its weight and ``x`` ordinary tensors, with
    at least one sample, and neither a transform of ``torch.func`` nor a mode
    of ``torch.overrides`` or dispatch active.
    """
    if not is_plain(layer):
        return False
    kinds = type(layer.weight), type(x)
    if is_traced():
        if torch.jit.is_tracing() and has_active_mode():
            return False  # compilers have modes of their own
        # torch has tensor classes for tracing only.
        return not any(hasattr(kind, '__tensor_flatten__') for kind in kinds)
    return (all(kind in (Tensor, nn.Parameter) for kind in kinds)
            and x.numel() > 0 and not is_transformed()
            and not has_active_mode())


def is_plain_conv_norm(layer: nn.Module) -> bool:
    """Return whether a module is a plain ConvModule without activation."""
    return (type(layer) is ConvModule and is_plain(layer)
            and runs_conv_then_norm(layer) and not layer.with_activation)


# Where a ConvModule keeps a combined formulation, in mmcv 2.0 and from 2.1 on.
_COMBINED = ('fast_conv_bn_eval_forward', 'efficient_conv_bn_eval_forward')


def runs_conv_then_norm(layer: ConvModule) -> bool:
    """Return whether a ConvModule runs its convolution, then its norm."""
    return (layer.with_norm and layer.order[:2] == ('conv', 'norm')
            and all(getattr(layer, name, None) is None for name in _COMBINED)
            and not layer.with_explicit_padding)


def is_pointwise(conv: nn.Conv2d) -> bool:
    """Return whether a layer is a convolution of one position at a time."""
    return (isinstance(conv, nn.Conv2d) and conv.kernel_size == conv.stride ==
            (1, 1) and conv.padding in ((0, 0), 'same', 'valid'))


def keeps_size(conv: nn.Conv2d) -> bool:
    """Return whether a layer is a zero-padded convolution that keeps sizes."""
    if not isinstance(conv, nn.Conv2d) or conv.padding_mode != 'zeros':
        return False
    padding = tuple(k // 2 for k in conv.kernel_size)
    return (conv.stride == conv.dilation == (1, 1)
            and all(k % 2 for k in conv.kernel_size)
            and (conv.padding in (padding, 'same')
                 or isinstance(conv, Conv2dAdaptivePadding)))


def uses_running_statistics(norm: nn.Module) -> bool:
    """Return whether a norm is a plain batch norm in eval mode."""
    return (is_plain(norm) and isinstance(norm, _BatchNorm)
            and not norm.training and norm.running_mean is not None)
