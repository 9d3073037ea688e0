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


def is_plain_conv(conv: nn.Module) -> bool:
    """Say whether a layer's output is its ``weight``, zero-padded."""
    return getattr(type(conv), 'forward', None) in _PLAIN_FORWARDS


def is_foldable(norm: nn.Module) -> bool:
    """Say whether a norm is a batch norm with running statistics."""
    return isinstance(norm, _BatchNorm) and norm.running_mean is not None


def check_plain_conv(conv: nn.Module, name: str) -> None:
    """Refuse a convolution type that kernels cannot be read from.

    Args:
        conv: The layer that ``conv_cfg`` built.
        name: What the message calls it.

    Raises:
        ValueError: If the layer's output is not its ``weight`` applied with
            zero padding.
    """
    if not is_plain_conv(conv):
        raise ValueError(f'conv_cfg type {type(conv).__name__} does not apply '
                         f'its weight as it is, so {name} could not be '
                         "merged: use 'Conv2d' or a subclass that keeps its "
                         'forward')


def fold_bn(conv: nn.Conv2d,
            norm: nn.Module,
            name: str,
            dtype: torch.dtype = torch.float64) -> Affine:
    """Fold a batch norm in eval mode into the layer before it.

    Args:
        conv: Layer with ``weight`` of shape (R, ...) and an optional bias.
        norm: Its batch norm, with R or a divisor of R channels.
        name: What an error calls the pair.
        dtype: What to compute in. Defaults to float64.

    Returns:
        Folded weight, shaped as the layer's, and bias of shape (R,).

    Raises:
        ValueError: If the norm is not a batch norm with running statistics.
    """
    scale, shift = norm_scale_shift(norm, name, dtype)
    return fold_scale_shift(
        _cast(conv.weight, dtype), _cast(conv.bias, dtype), scale, shift)


def norm_scale_shift(norm: nn.Module,
                     name: str,
                     dtype: torch.dtype = torch.float64) -> Affine:
    """Read a batch norm in eval mode as ``scale * x + shift``.

    Args:
        norm: The norm of C channels.
        name: What an error calls what it normalises.
        dtype: What to compute in. Defaults to float64.

    Returns:
        scale and shift of shape (C,).

    Raises:
        ValueError: If the norm is not a batch norm with running statistics.
    """
    if not is_foldable(norm):
        raise ValueError(f'{name} is normalised by {type(norm).__name__}, '
                         'which cannot be merged: only batch norm with '
                         'running statistics (BN, SyncBN) can')
    return bn_scale_shift(
        *(_cast(tensor, dtype) for tensor in (
            norm.running_mean, norm.running_var, norm.weight, norm.bias)),
        norm.eps)


def _cast(tensor: torch.Tensor | None,
          dtype: torch.dtype) -> torch.Tensor | None:
    return None if tensor is None else tensor.detach().to(dtype)
