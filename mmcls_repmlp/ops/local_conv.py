"""Local convolutions: one kernel for each of S channels.

Shape letters: M maps, S channels (sharesets), h w partition, k kernel.
"""
from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .device import is_eager_on_cpu

# With fewer channels, vector registers are mostly empty.
_FEW_CHANNELS = 8


def local_conv(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve every channel with its own kernel, at stride 1, zero-padded.

    A depthwise convolution over few channels and many maps, as in the first
    stages, hardly uses a CPU's vector units. There the maps become channels of
    one image, each with a copy of its kernel: the same result in a sixtieth of
    the time for S = 1 (docs/performance.md).

    Args:
        x: Maps of shape (M, S, h, w).
        weight: Kernels of shape (S, 1, k, k) with odd k, same dtype and
            device.

    Returns:
        Maps of shape (M, S, h, w).
    """
    m, s, h, w = x.shape
    padding = tuple(k // 2 for k in weight.shape[-2:])
    if s >= _FEW_CHANNELS or not is_eager_on_cpu(x) or not m:
        return F.conv2d(x, weight, padding=padding, groups=s)
    image = x.reshape(1, m * s, h, w)
    kernels = weight.repeat(m, 1, 1, 1)  # (M*S, 1, k, k)
    out = F.conv2d(image, kernels, padding=padding, groups=m * s)
    return out.view(m, s, h, w)
