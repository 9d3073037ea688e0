"""Cut a feature map into partitions and put it together again.

Shape letters: N batch, C channels, H W map, h w partition,
P = (H / h) * (W / w) partitions per map.
"""
from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def partition(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut every map into the partitions that tile it, in reading order.

    A view, without any copy, when one partition covers the whole map.

    Args:
        x: Feature maps of shape (N, C, H, W), any dtype.
        size: Height and width (h, w) of a partition.

    Returns:
        Partitions of shape (N * P, C, h, w); those of one map follow each
        other.

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


def unpartition(x: Tensor, map_size: Sequence[int]) -> Tensor:
    """Put partitions back together: the inverse of :func:`partition`.

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
