"""Whether a layer may be computed from its weights, without calling it.

The fast formulations read the weights of a layer and go past the layer itself.
That is right only while nobody could tell the difference: a hook, a pruning
mask, a parametrization, another forward or a fake-quantizer must be met as in
any module. So each of them asks here first, at every call, and calls the layer
where the answer is no.
"""
from __future__ import annotations

from mmcv.cnn import ConvModule
from mmcv.cnn.bricks.conv2d_adaptive_padding import Conv2dAdaptivePadding
from mmcv.cnn.bricks.wrappers import Conv2d as MmcvConv2d
from mmengine.model.utils import _BatchNormXd
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.nn.modules.batchnorm import _BatchNorm

from mmcls_repmlp.ops import is_traced, is_transformed

# Convolutions whose output is their `weight` applied with zero padding. Others
# (weight standardisation, deformable, ...) compute something else with it.
PLAIN_CONVS = nn.Conv2d, MmcvConv2d, Conv2dAdaptivePadding
PLAIN_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d,
               nn.SyncBatchNorm, _BatchNormXd)
# What these classes computed when this was imported: profilers and the like
# replace methods of whole classes, as torch does while it traces.
FORWARDS = {
    kind: kind.forward
    for kind in (*PLAIN_CONVS, *PLAIN_NORMS, ConvModule, nn.Linear, nn.GELU)
}
_CALL = nn.Module.__call__


def is_plain(module: nn.Module) -> bool:
    """Say whether calling a module does what its class does, nothing more.

    Args:
        module: A module of any kind.

    Returns:
        Whether it is exactly of a known class, not of a subclass (which
        parametrizations, quantization and adapters make), its forward is that
        of the class, and no hook, of its own or global, is there to see it.
    """
    kind = type(module)
    return (FORWARDS.get(kind) is kind.forward
            and (nn.Module.__call__ is _CALL or is_traced())
            and 'forward' not in module.__dict__
            and module._compiled_call_impl is None and not has_hooks(module)
            and not torch_module._has_any_global_hook())


def has_hooks(module: nn.Module) -> bool:
    """Say whether a module has hooks of its own on forward or backward."""
    return bool(module._forward_hooks or module._forward_pre_hooks
                or module._backward_hooks or module._backward_pre_hooks)


def computed_functionally(layer: nn.Module, x: Tensor) -> bool:
    """Say whether a formulation of ours may stand for ``layer(x)``.

    Args:
        layer: A layer with a ``weight``.
        x: Its input, in any shape.

    Returns:
        Whether the layer is plain, no transform of ``torch.func`` is at work,
        neither tensor is of a subclass that computes otherwise, and there is
        at least one sample.
    """
    if not is_plain(layer):
        return False
    kinds = type(layer.weight), type(x)
    if is_traced():
        # Tensors may be of kinds that torch has for tracing alone.
        return not any(hasattr(kind, '__tensor_flatten__') for kind in kinds)
    return (all(kind in (Tensor, nn.Parameter) for kind in kinds)
            and x.numel() > 0 and not is_transformed())


def is_plain_conv_norm(layer: nn.Module) -> bool:
    """Say whether a module is a plain convolution and then a norm, only."""
    return (type(layer) is ConvModule and is_plain(layer)
            and runs_conv_then_norm(layer))


# Where a ConvModule keeps what runs both in one, in mmcv 2.0 and from 2.1 on.
_COMBINED = ('fast_conv_bn_eval_forward', 'efficient_conv_bn_eval_forward')


def runs_conv_then_norm(layer: ConvModule) -> bool:
    """Say whether a ConvModule is set to run its convolution, then its norm.

    Whether an activation follows is not asked.
    """
    return (layer.with_norm and layer.order[:2] == ('conv', 'norm')
            and all(getattr(layer, name, None) is None for name in _COMBINED)
            and not layer.with_explicit_padding)


def is_pointwise(conv: nn.Conv2d) -> bool:
    """Say whether a layer is a convolution of one position at a time."""
    return (isinstance(conv, nn.Conv2d) and conv.kernel_size == conv.stride ==
            (1, 1) and conv.padding in ((0, 0), 'same', 'valid'))


def keeps_size(conv: nn.Conv2d) -> bool:
    """Say whether a layer is a convolution that zeros around keep in size."""
    if not isinstance(conv, nn.Conv2d) or conv.padding_mode != 'zeros':
        return False
    padding = tuple(k // 2 for k in conv.kernel_size)
    return (conv.stride == conv.dilation == (1, 1)
            and all(k % 2 for k in conv.kernel_size)
            and (conv.padding in (padding, 'same')
                 or isinstance(conv, Conv2dAdaptivePadding)))


def uses_running_statistics(norm: nn.Module) -> bool:
    """Say whether a norm is a plain batch norm in eval mode."""
    return (is_plain(norm) and isinstance(norm, _BatchNorm)
            and not norm.training and norm.running_mean is not None)
