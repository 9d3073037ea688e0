"""The one place where a norm is folded into a layer before or after it.

A batch norm in eval mode is ``scale * x + shift`` for every channel, so it
goes into any linear layer beside it. Layers are read in float64 unless told
otherwise, and nothing is changed.
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
    """Fold a batch norm into the layer whose output it takes.

    Args:
        layer: Layer with ``weight`` of shape (R, ...) and an optional bias.
        norm: Its batch norm, of R channels or a divisor: each then serves as
            many rows that follow each other (fc3 has one batch-norm channel
            for the Q rows of a shareset).
        name: What an error calls the pair.
        dtype: What to compute in. Defaults to float64.

    Returns:
        Folded weight, shaped as the layer's, and bias of shape (R,).

    Raises:
        ValueError: If the layer does not apply its weight as it is, the norm
            is not a batch norm with running statistics, or its channels do
            not divide R.
    """
    weight, bias = linear_weights(layer, name, dtype)
    scale, shift = (
        _repeated(values, len(weight), f'outputs of {name}')
        for values in scale_shift(norm, name, dtype))
    rows = scale.view(-1, *[1] * (weight.dim() - 1))
    return weight * rows, bias * scale + shift


def fold_leading_norm(norm: nn.Module, linear: Affine, name: str) -> Affine:
    """Fold a batch norm into the linear layer that takes its output.

    Args:
        norm: The batch norm, of I channels or a divisor: each then serves as
            many inputs that follow each other (the first layer of the first
            paper's global perceptron reads all partitions of a channel).
        linear: Weight of shape (O, I), or (O, I, 1, 1) of a 1x1 convolution,
            and bias of shape (O,), float64. Larger kernels would see the
            zeros of their padding shifted too.
        name: What an error calls what the norm takes.

    Returns:
        Weight in its shape and bias of shape (O,).

    Raises:
        ValueError: If the norm is not a batch norm with running statistics,
            or its channels do not divide I.
    """
    weight, bias = linear
    matrix = weight.flatten(1)  # (O, I)
    scale, shift = (
        _repeated(values, matrix.shape[1], f'inputs of {name}')
        for values in scale_shift(norm, name))
    return (matrix * scale).view_as(weight), bias + matrix @ shift


def fold_conv_module(layer: ConvModule, name: str) -> Affine:
    """Fold the norm of a ConvModule into its convolution.

    Raises:
        ValueError: If it computes something else than that.
    """
    if type(layer).forward is not ConvModule.forward or (
            not runs_conv_then_norm(layer)):
        raise ValueError(f'{name} is no ConvModule that runs a convolution '
                         'and then a norm, so it cannot be merged: put one in '
                         'its place')
    return fold_norm(layer.conv, layer.norm, name)


def scale_shift(norm: Any,
                name: str,
                dtype: torch.dtype = torch.float64) -> Affine:
    """Read a batch norm in eval mode as ``scale * x + shift``.

    Returns:
        scale and shift of shape (C,).

    Raises:
        ValueError: If the norm is not a batch norm with running statistics.
    """
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
    """Read weight and bias of a layer; no bias is zeros.

    Raises:
        ValueError: If the layer does not apply its weight as it is.
    """
    check_plain_conv(layer, name)
    weight = layer.weight.to(dtype)
    bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias
    return weight, bias.to(dtype)


def is_foldable(norm: nn.Module) -> bool:
    """Say whether a norm is a batch norm with running statistics."""
    return (isinstance(norm, _BatchNorm) and norm.running_mean is not None
            and type(norm).forward in _NORM_FORWARDS)


def is_plain_linear(layer: nn.Module) -> bool:
    """Say whether a layer's output is its ``weight`` applied as it is."""
    kind = type(layer)
    return kind.forward in _LINEAR_FORWARDS and getattr(
        kind, '_conv_forward',
        nn.Conv2d._conv_forward) is nn.Conv2d._conv_forward


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


def _repeated(values: Tensor, count: int, what: str) -> Tensor:
    if count % len(values):
        raise ValueError(f'{len(values)} batch-norm channels cannot serve '
                         f'the {count} {what}: expected a divisor')
    return values.repeat_interleave(count // len(values))
