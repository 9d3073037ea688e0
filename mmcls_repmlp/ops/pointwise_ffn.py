"""The feed-forward network as it is fused: two 1x1 convolutions."""
from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .conv_to_fc import Affine
from .device import eager_on_cpu
from .layout import for_pointwise_conv

# Beyond this size the hidden map is allocated anew at every call, which costs
# as much as the arithmetic on it. Measured, see docs/performance.md.
_HIDDEN_BYTES = 16 * 2**20


def pointwise_ffn(x: Tensor, first: Affine, second: Affine) -> Tensor:
    """Compute ``conv(gelu(conv(x)))`` for inference.

    On a CPU a few images at a time, so that the hidden map, the largest tensor
    of the whole network, stays where memory is at hand.

    Args:
        x: Maps of shape (N, C, H, W).
        first: Weight of shape (D, C, 1, 1) and bias of shape (D,).
        second: Weight of shape (C, D, 1, 1) and bias of shape (C,).

    Returns:
        Maps of the shape of ``x``.
    """
    if not eager_on_cpu(x) or not x.numel():
        return F.conv2d(F.gelu(F.conv2d(x, *first)), *second)
    image_bytes = len(first[0]) * x[0, 0].numel() * x.element_size()
    chunks = x.split(max(1, _HIDDEN_BYTES // image_bytes))
    outs = [_in_one_go(chunk, first, second) for chunk in chunks]
    return outs[0] if len(outs) == 1 else torch.cat(outs)


def _in_one_go(x: Tensor, first: Affine, second: Affine) -> Tensor:
    hidden = F.conv2d(for_pointwise_conv(x), *first)
    hidden = (
        F.gelu(hidden)
        if hidden.requires_grad else torch.ops.aten.gelu_(hidden))
    return F.conv2d(hidden, *second)
