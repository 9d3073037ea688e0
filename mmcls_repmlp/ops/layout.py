"""How a feature map should lie in memory for 1x1 convolutions."""
from __future__ import annotations

import torch
from torch import Tensor

from .device import eager_on_cpu

# Fewer positions than this for each channel do not repay touching the weights
# or rearranging the map.
_MIN_POSITIONS_PER_CHANNEL = 2


def has_many_positions(x: Tensor) -> bool:
    """Say whether maps (N, C, H, W) outweigh the weights of a 1x1 layer."""
    n, c, h, w = x.shape
    return n * h * w >= c * _MIN_POSITIONS_PER_CHANNEL


def for_pointwise_conv(x: Tensor) -> Tensor:
    """Lay a map out so that 1x1 convolutions over it are fast.

    Channels last on a CPU, where a 1x1 convolution then is one matrix product
    over all positions, unless there are few of them (docs/performance.md).

    Args:
        x: Maps of shape (N, C, H, W).

    Returns:
        The same values and shape, in the layout to prefer.
    """
    if eager_on_cpu(x) and has_many_positions(x):
        return x.contiguous(memory_format=torch.channels_last)
    return x
