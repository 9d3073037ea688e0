"""Feature maps as partitions and back, and padding to whole partitions.

Shape letters: N batch, C channels, H W map or image, h w partition,
P = (H / h) * (W / w) partitions per map.
"""
from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

Size = Sequence[int]


def partition(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut every map into the partitions that tile it, in reading order.

    This is a view if one partition covers the whole map.

    Args:
        x: Feature maps of shape (N, C, H, W), any dtype.
        size: Height and width (h, w) of a partition.

    Returns:
        Partitions of shape (N * P, C, h, w); those of one map are
        contiguous.

    Raises:
        ValueError: If the map is not a whole number of partitions.
    """
    (n, c, map_h, map_w), (h, w) = x.shape, size
    if map_h % h or map_w % w or not map_h or not map_w:
        raise ValueError(f'a {map_h}x{map_w} map cannot be cut into {h}x{w} '
                         'partitions: both its sides must be multiples')
    if (map_h, map_w) == (h, w):
        return x
    x = x.reshape(n, c, map_h // h, h, map_w // w, w)
    x = x.permute(0, 2, 4, 1, 3, 5)  # (N, H/h, W/w, C, h, w)
    return x.reshape(-1, c, h, w)  # (N*P, C, h, w)


def unpartition(x: Tensor, map_size: Size) -> Tensor:
    """Join partitions into maps: the inverse of :func:`partition`.

    Args:
        x: Partitions of shape (N * P, C, h, w), any dtype.
        map_size: Height and width (H, W) of the map they came from.

    Returns:
        Feature maps of shape (N, C, H, W).

    Raises:
        ValueError: If (H, W) is not a whole number of partitions, or the
            partitions do not fill whole maps.
    """
    (count, c, h, w), (map_h, map_w) = x.shape, map_size
    rows, cols = map_h // h, map_w // w
    if map_h % h or map_w % w or not rows * cols or count % (rows * cols):
        raise ValueError(f'{count} partitions of {h}x{w} do not fill whole '
                         f'{map_h}x{map_w} maps')
    if (map_h, map_w) == (h, w):
        return x
    x = x.reshape(-1, rows, cols, c, h, w)  # (N, H/h, W/w, C, h, w)
    x = x.permute(0, 3, 1, 4, 2, 5)  # (N, C, H/h, h, W/w, w)
    return x.reshape(-1, c, map_h, map_w)  # (N, C, H, W)


def pad_below_and_right(x: Tensor, size: Size) -> Tensor:
    """Pad images with zeros below and to the right up to a multiple of a size.

    Args:
        x: Images of shape (N, C, H, W), any dtype.
        size: Height and width that the result is a multiple of.

    Returns:
        Images of shape (N, C, H', W'): ``x`` itself if it is a multiple.
    """
    below, right = (-got % side for got, side in zip(x.shape[2:], size))
    return F.pad(x, (0, right, 0, below)) if below or right else x


def crop_padding(x: Tensor, image_size: Size, padded_size: Size) -> Tensor:
    """Crop maps of padded images to the part that the original images cover.

    Args:
        x: Maps of shape (N, C, H' / s, W' / s) for a stride s.
        image_size: Height and width (H, W) of the images.
        padded_size: Height and width (H', W') after padding.

    Returns:
        A view of shape (N, C, ceil(H / s), ceil(W / s)): ``x`` itself if
        nothing was padded.
    """
    if image_size == padded_size:
        return x
    rows, cols = (
        -(-side * cells // padded)
        for side, cells, padded in zip(image_size, x.shape[2:], padded_size))
    return x[..., :rows, :cols]
