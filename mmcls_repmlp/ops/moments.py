"""Statistics of a linear layer's output, from those of its input.

A batch norm in training needs mean and variance of what it normalises. For a
linear layer they follow from mean and covariance of its input, so the norm can
be folded into the layer while it trains, as it is for deployment, and no map
is written only to be measured.

Shape letters: S matrices, M rows, Q inputs, R outputs.
"""
from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

from .device import is_eager_on_cpu

# Products with (Q, Q) matrices cost less than passes over maps up to here.
# Measured, see docs/performance.md.
_MAX_INPUTS, _MIN_ROWS_PER_INPUT = 256, 4


class Moments(NamedTuple):
    """Moments of M rows.

    Attributes:
        mean: Shape (S, Q).
        covariance: Shape (S, Q, Q), divided by M.
        rows: The number M.
    """
    mean: Tensor
    covariance: Tensor
    rows: int


def is_cheap_to_measure(x: Tensor) -> bool:
    """Return whether moments of rows (S, M, Q) save time."""
    _, m, q = x.shape
    return (is_eager_on_cpu(x) and x.dtype in (torch.float32, torch.float64)
            and not torch.is_autocast_enabled('cpu') and q <= _MAX_INPUTS
            and m >= q * _MIN_ROWS_PER_INPUT)


def moments(x: Tensor) -> Moments:
    """Return mean and covariance of rows (S, M, Q)."""
    mean, second = _RawMoments.apply(x)
    return Moments(mean, second - mean[:, :, None] * mean[:, None], x.shape[1])


def linear_statistics(weight: Tensor,
                      inputs: Moments) -> tuple[Tensor, Tensor]:
    """Return mean and variance (S, R) of every output of a linear layer.

    Args:
        weight: Matrices of shape (S, R, Q).
        inputs: Moments of its input.
    """
    mean = (weight @ inputs.mean[..., None])[..., 0]
    variance = (weight @ inputs.covariance).mul(weight).sum(-1)
    return mean, variance.clamp_min(0.)


class _RawMoments(Function):
    """Means of x and of products of x, with one pass over x in backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map x (S, M, Q) to its first and second moments."""
        ctx.save_for_backward(x)
        return x.mean(1), x.mT @ x / x.shape[1]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Map gradients of both moments to that of x."""
        x, = ctx.saved_tensors
        first, second = (grad / x.shape[1] for grad in grads)
        return torch.baddbmm(first[:, None], x, second + second.mT)
