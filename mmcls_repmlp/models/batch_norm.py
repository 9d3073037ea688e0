"""Read a convolution and its batch norm as numbers to fold."""
from __future__ import annotations

import torch
from mmcv.cnn.bricks.conv2d_adaptive_padding import Conv2dAdaptivePadding
from mmcv.cnn.bricks.wrappers import Conv2d as MmcvConv2d
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmcls_repmlp.ops import bn_scale_shift, fold_scale_shift
from mmcls_repmlp.ops.fusion import Affine

# Convolutions whose output is their `weight` applied with zero padding. Others
# (weight standardisation, deformable, ...) compute something else with it.
_PLAIN_FORWARDS = (nn.Conv2d.forward, MmcvConv2d.forward,
                   Conv2dAdaptivePadding.forward)


def check_plain_conv(conv: nn.Module, name: str) -> None:
    """Refuse a convolution type that kernels cannot be read from.

    Args:
        conv: The layer that ``conv_cfg`` built.
        name: What the message calls it.

    Raises:
        ValueError: If the layer's output is not its ``weight`` applied with
            zero padding.
    """
    if getattr(type(conv), 'forward', None) not in _PLAIN_FORWARDS:
        raise ValueError(f'conv_cfg type {type(conv).__name__} does not apply '
                         f'its weight as it is, so {name} could not be '
                         "merged: use 'Conv2d' or a subclass that keeps its "
                         'forward')


def fold_bn(conv: nn.Conv2d, norm: nn.Module, name: str) -> Affine:
    """Fold a batch norm in eval mode into the layer before it, in float64.

    Args:
        conv: Layer with ``weight`` of shape (R, ...) and an optional bias.
        norm: Its batch norm, with R or a divisor of R channels.
        name: What an error calls the pair.

    Returns:
        Folded weight, shaped as the layer's, and bias of shape (R,), both
        float64.

    Raises:
        ValueError: If the norm is not a batch norm with running statistics.
    """
    scale, shift = norm_scale_shift(norm, name)
    return fold_scale_shift(
        _float64(conv.weight), _float64(conv.bias), scale, shift)


def norm_scale_shift(norm: nn.Module, name: str) -> Affine:
    """Read a batch norm in eval mode as ``scale * x + shift``, in float64.

    Args:
        norm: The norm of C channels.
        name: What an error calls what it normalises.

    Returns:
        scale and shift of shape (C,).

    Raises:
        ValueError: If the norm is not a batch norm with running statistics.
    """
    if not isinstance(norm, _BatchNorm) or norm.running_mean is None:
        raise ValueError(f'{name} is normalised by {type(norm).__name__}, '
                         'which cannot be merged: only batch norm with '
                         'running statistics (BN, SyncBN) can')
    return bn_scale_shift(
        _float64(norm.running_mean), _float64(norm.running_var),
        _float64(norm.weight), _float64(norm.bias), norm.eps)


def _float64(tensor: torch.Tensor | None) -> torch.Tensor | None:
    return None if tensor is None else tensor.detach().double()
