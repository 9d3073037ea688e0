"""Pad images to whole multiples of a size, and crop their maps back.

Shape letters: N batch, C channels, H W image.
"""
from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

Size = Sequence[int]


def pad_below_and_right(x: Tensor, size: Size) -> Tensor:
    """Add zeros below and to the right, up to the next multiple.

    Args:
        x: Images of shape (N, C, H, W), any dtype.
        size: Height and width that the result is a multiple of.

    Returns:
        Images of shape (N, C, H', W'): ``x`` itself if it is a multiple.
    """
    below, right = (-got % side for got, side in zip(x.shape[2:], size))
    return F.pad(x, (0, right, 0, below)) if below or right else x


def crop_padding(x: Tensor, image_size: Size, padded_size: Size) -> Tensor:
    """Keep what images cover of a map of the padded images.

    Args:
        x: Maps of shape (N, C, H' / s, W' / s) for a stride s.
        image_size: Height and width (H, W) of the images.
        padded_size: Height and width (H', W') after padding.

    Returns:
        Maps of shape (N, C, ceil(H / s), ceil(W / s)), a view: ``x`` itself
        if nothing was added.
    """
    if image_size == padded_size:
        return x
    rows, cols = (
        -(-side * cells // padded)
        for side, cells, padded in zip(image_size, x.shape[2:], padded_size))
    return x[..., :rows, :cols]
