"""Batch norms in training, folded into the linear layers before them.

It is :mod:`norm_folding` with the statistics of the batch: outputs, gradients
and running statistics are those of the layer and its norm, one after the
other, up to rounding.

Shape letters: S matrices, M rows, Q inputs, R outputs, k kernel.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmcls_repmlp.ops import Affine, Moments, conv_to_fc, linear_statistics

from .plain_layers import can_bypass, is_plain, is_plain_conv_norm, keeps_size


def uses_batch_statistics(norm: nn.Module) -> bool:
    """Return whether a norm is a plain batch norm of one process, training."""
    return (isinstance(norm, _BatchNorm) and is_plain(norm)
            and not isinstance(norm, nn.SyncBatchNorm) and norm.training
            and norm.track_running_stats and norm.momentum is not None
            and norm.weight is not None and norm.bias is not None)


def can_fold_branch(branch: ConvModule, x: Tensor) -> bool:
    """Return whether a local convolution of maps (M, S, h, w) can be folded.

    It has one kernel and one norm channel for each of the S maps.
    """
    return (is_plain_conv_norm(branch) and can_bypass(branch.conv, x)
            and keeps_size(branch.conv) and branch.conv.bias is None
            and branch.conv.weight.shape[:2] == (x.shape[1], 1)
            and uses_batch_statistics(branch.norm))


def fold_batch_norm(weight: Tensor, norm: Any, inputs: Moments) -> Affine:
    """Fold a norm into the layer before it, and update its statistics.

    Args:
        weight: Matrices of shape (S, R, Q).
        norm: Batch norm of S * R channels, or of S, one for each matrix.
        inputs: Moments of the layer's input.

    Returns:
        Weight of shape (S, R, Q) and bias of shape (S, R).
    """
    s, r, _ = weight.shape
    mean, variance = linear_statistics(weight, inputs)
    count = inputs.rows
    if norm.num_features != s * r:
        variance = variance + (mean - mean.mean(1, keepdim=True)).square()
        mean, variance = (
            value.mean(1, keepdim=True) for value in (mean, variance))
        count *= r
    _update_statistics(norm,
                       mean.detach().flatten(),
                       variance.detach().flatten(), count)
    scale = norm.weight.view_as(mean) * torch.rsqrt(variance + norm.eps)
    bias = norm.bias.view_as(mean) - mean * scale
    return weight * scale[..., None], bias.expand(s, r)


def fold_batch_branches(branches: Sequence[ConvModule], inputs: Moments,
                        size: tuple[int, int]) -> list[Affine]:
    """Fold local convolutions (S, 1, k, k) as matrices over a partition."""
    folded = []
    for branch in branches:
        matrix = conv_to_fc(branch.conv.weight, size)  # (S * Q, Q)
        matrix = matrix.view(-1, *inputs.covariance.shape[1:])
        folded.append(fold_batch_norm(matrix, branch.norm, inputs))
    return folded


@torch.no_grad()
def _update_statistics(norm: Any, mean: Tensor, variance: Tensor,
                       count: int) -> None:
    norm.num_batches_tracked.add_(1)
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(variance * (count / (count - 1)), norm.momentum)
