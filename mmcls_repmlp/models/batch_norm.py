"""Read a convolution and its batch norm as numbers to fold."""
from __future__ import annotations

import torch
from mmcv.cnn import ConvModule
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmcls_repmlp.ops import bn_scale_shift, fold_scale_shift
from mmcls_repmlp.ops.fusion import Affine

from .functional import PLAIN_CONVS, PLAIN_NORMS, runs_conv_then_norm

_LINEAR_FORWARDS = nn.Linear.forward, *(kind.forward for kind in PLAIN_CONVS)
_NORM_FORWARDS = tuple(kind.forward for kind in PLAIN_NORMS)


def is_plain_linear(layer: nn.Module) -> bool:
    """Say whether a layer's output is its ``weight`` applied as it is."""
    kind = type(layer)
    return kind.forward in _LINEAR_FORWARDS and getattr(
        kind, '_conv_forward',
        nn.Conv2d._conv_forward) is nn.Conv2d._conv_forward


def is_foldable(norm: nn.Module) -> bool:
    """Say whether a norm is a batch norm with running statistics."""
    return (isinstance(norm, _BatchNorm) and norm.running_mean is not None
            and type(norm).forward in _NORM_FORWARDS)


def check_plain_conv(conv: nn.Module, name: str) -> None:
    """Refuse a layer type that kernels cannot be read from.

    Args:
        conv: The layer that ``conv_cfg`` built, or what took its place.
        name: What the message calls it.

    Raises:
        ValueError: If the layer's output is not its ``weight`` applied with
            zero padding.
    """
    if not is_plain_linear(conv):
        raise ValueError(f'layer type {type(conv).__name__} does not apply '
                         f'its weight as it is, so {name} could not be '
                         "merged: use 'Conv2d' or a subclass that keeps its "
                         'forward')


def linear_weights(layer: nn.Module, name: str) -> Affine:
    """Read weight and bias of a layer, in float64; no bias is zeros.

    Raises:
        ValueError: If the layer does not apply its weight as it is.
    """
    check_plain_conv(layer, name)
    weight = layer.weight.double()
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias
    return weight, bias.double()


def fold_conv_module(layer: ConvModule, name: str) -> Affine:
    """Fold the norm of a ConvModule into its convolution, in float64.

    Raises:
        ValueError: If it computes something else than that.
    """
    if type(layer).forward is not ConvModule.forward or (
            not runs_conv_then_norm(layer)):
        raise ValueError(f'{name} is no ConvModule that runs a convolution '
                         'and then a norm, so it cannot be merged: put one in '
                         'its place')
    return fold_bn(layer.conv, layer.norm, name)


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
        ValueError: If the layer does not apply its weight as it is, or the
            norm is not a batch norm with running statistics.
    """
    check_plain_conv(conv, name)
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
        *(_cast(tensor, dtype)
          for tensor in (norm.running_mean, norm.running_var, norm.weight,
                         norm.bias)), norm.eps)


def _cast(tensor: torch.Tensor | None,
          dtype: torch.dtype) -> torch.Tensor | None:
    return None if tensor is None else tensor.to(dtype)
