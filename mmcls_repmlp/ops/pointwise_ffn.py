"""1x1 convolutions: the memory layout they prefer, and a fused FFN of two."""
from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .conv_to_fc import Affine
from .device import is_eager_on_cpu

# With fewer positions per channel, neither touching the weights nor converting
# the map pays off.
_MIN_POSITIONS_PER_CHANNEL = 2
# A larger hidden map is allocated anew at every call, which costs as much as
# the arithmetic on it. Measured, see docs/performance.md.
_HIDDEN_BYTES = 16 * 2**20


def has_many_positions(x: Tensor) -> bool:
    """Return whether maps (N, C, H, W) outweigh the weights of a 1x1 layer."""
    n, c, h, w = x.shape
    return n * h * w >= c * _MIN_POSITIONS_PER_CHANNEL


def is_large_hidden(x: Tensor, weight: Tensor) -> bool:
    """Return whether a layer (D, C, 1, 1) gives maps that leave the caches."""
    n, _, h, w = x.shape
    return n * len(weight) * h * w * x.element_size() > _HIDDEN_BYTES


def to_pointwise_layout(x: Tensor) -> Tensor:
    """Convert maps to the memory layout in which 1x1 convolutions are fast.

    On a CPU that is channels last, where a 1x1 convolution is one matrix
    product over all positions, unless there are few (docs/performance.md).

    Args:
        x: Maps of shape (N, C, H, W).

    Returns:
        The same values and shape.
    """
    if is_eager_on_cpu(x) and has_many_positions(x):
        return x.contiguous(memory_format=torch.channels_last)
    return x


def fast_gelu(x: Tensor) -> Tensor:
    """Apply GELU, in place where nobody could observe the difference."""
    if is_eager_on_cpu(x) and not x.requires_grad:
        return torch.ops.aten.gelu_(x)
    return F.gelu(x)


def run_in_chunks(layers: Callable[[Tensor], Tensor], x: Tensor,
                  hidden: int) -> Tensor:
    """Run layers of single positions, on a CPU a few images at a time.

    The hidden map, the largest tensor of the network, then reuses memory.

    Args:
        layers: They map (N, C, H, W) to maps of as many images.
        x: Maps of shape (N, C, H, W).
        hidden: Channels of the hidden map.
    """
    if not is_eager_on_cpu(x) or not x.numel():
        return layers(x)
    image_bytes = hidden * x[0, 0].numel() * x.element_size()
    chunks = x.split(max(1, _HIDDEN_BYTES // image_bytes))
    outs = [layers(chunk) for chunk in chunks]
    return outs[0] if len(outs) == 1 else torch.cat(outs)


def pointwise_ffn(x: Tensor, first: Affine, second: Affine) -> Tensor:
    """Compute ``conv(gelu(conv(x)))`` for inference.

    Args:
        x: Maps of shape (N, C, H, W).
        first: Weight of shape (D, C, 1, 1) and bias of shape (D,).
        second: Weight of shape (C, D, 1, 1) and bias of shape (C,).

    Returns:
        Maps of shape (N, C, H, W).
    """

    def layers(x: Tensor) -> Tensor:
        hidden = F.conv2d(to_pointwise_layout(x), *first)
        in_place = is_eager_on_cpu(x) and not hidden.requires_grad
        hidden = (torch.ops.aten.gelu_(hidden) if in_place else F.gelu(hidden))
        return F.conv2d(hidden, *second)

    return run_in_chunks(layers, x, len(first[0]))
