"""The one place where a batch norm is folded into a layer beside it.

In eval mode a batch norm is ``scale * x + shift`` for every channel, so any
linear layer before or after it can take it in. Nothing is changed in place.
"""
from __future__ import annotations

from typing import Any

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmcls_repmlp.ops import Affine

from .plain_layers import PLAIN_CONVS, PLAIN_NORMS, runs_conv_then_norm

_LINEAR_FORWARDS = nn.Linear.forward, *(kind.forward for kind in PLAIN_CONVS)
_NORM_FORWARDS = tuple(kind.forward for kind in PLAIN_NORMS)


def fold_norm(layer: nn.Module,
              norm: nn.Module,
              name: str,
              dtype: torch.dtype = torch.float64) -> Affine:
    """Fold a batch norm into the layer of R outputs before it.

    Its channels are R or a divisor, as in fc3, where each of S serves the Q
    rows of a shareset. A ValueError names a layer or norm of another kind.
    """
    weight, bias = linear_weights(layer, name, dtype)
    scale, shift = (
        _repeat(values, len(weight), f'outputs of {name}')
        for values in scale_shift(norm, name, dtype))
    rows = scale.view(-1, *[1] * (weight.dim() - 1))
    return weight * rows, bias * scale + shift


def fold_leading_norm(norm: nn.Module, linear: Affine, name: str) -> Affine:
    """Fold a batch norm into the linear layer (O, I) after it.

    Its channels are I or a divisor: each then serves consecutive inputs. With
    a larger kernel than 1x1 the zeros of the padding would be shifted too.
    """
    weight, bias = linear
    matrix = weight.flatten(1)  # (O, I)
    scale, shift = (
        _repeat(values, matrix.shape[1], f'inputs of {name}')
        for values in scale_shift(norm, name))
    return (matrix * scale).view_as(weight), bias + matrix @ shift


def fold_conv_module(layer: ConvModule, name: str) -> Affine:
    """Fold the norm of a ConvModule into its convolution."""
    if type(layer).forward is not ConvModule.forward or (
            not runs_conv_then_norm(layer)):
        raise ValueError(f'{name} is not a ConvModule that runs a convolution '
                         'and then a norm, so it cannot be merged: put one in '
                         'its place')
    return fold_norm(layer.conv, layer.norm, name)


def scale_shift(norm: Any,
                name: str,
                dtype: torch.dtype = torch.float64) -> Affine:
    """Return scale and shift (C,) of a batch norm in eval mode."""
    if not is_foldable(norm):
        raise ValueError(f'{name} is normalised by {type(norm).__name__}, '
                         'which cannot be merged: only batch norm with '
                         'running statistics (BN, SyncBN) can')
    scale = torch.rsqrt(norm.running_var.to(dtype) + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight.to(dtype)
    shift = -norm.running_mean.to(dtype) * scale
    return scale, shift if norm.bias is None else shift + norm.bias.to(dtype)


def linear_weights(layer: Any,
                   name: str,
                   dtype: torch.dtype = torch.float64) -> Affine:
    """Return weight and bias of a plain layer; the bias defaults to zeros."""
    check_plain_conv(layer, name)
    weight = layer.weight.to(dtype)
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias
    return weight, bias.to(dtype)


def is_foldable(norm: nn.Module) -> bool:
    """Return whether a norm is a batch norm with running statistics."""
    return (isinstance(norm, _BatchNorm) and norm.running_mean is not None
            and type(norm).forward in _NORM_FORWARDS)


def check_plain_conv(conv: nn.Module, name: str) -> None:
    """Raise a ValueError unless a layer applies its ``weight`` as it is."""
    kind = type(conv)
    plain = nn.Conv2d._conv_forward
    if (kind.forward not in _LINEAR_FORWARDS
            or getattr(kind, '_conv_forward', plain) is not plain):
        raise ValueError(f'layer type {kind.__name__} does not apply '
                         f'its weight as it is, so {name} could not be '
                         "merged: use 'Conv2d' or a subclass that keeps its "
                         'forward')


def _repeat(values: Tensor, count: int, what: str) -> Tensor:
    if count % len(values):
        raise ValueError(f'{len(values)} batch-norm channels cannot serve '
                         f'the {count} {what}: expected a divisor')
    return values.repeat_interleave(count // len(values))
