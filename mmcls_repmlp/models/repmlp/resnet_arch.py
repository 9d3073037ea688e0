"""The stages of a RepMLP-ResNet as data, worked out from few numbers."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Size = tuple[int, int]

# Blocks in every stage, by the number of layers (He et al., 2016, table 1).
DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_EXPANSION = 4  # the first stage's channels per channel of the stem


@dataclass(frozen=True)
class ResNetStage:
    """What tells one stage from another.

    Attributes:
        depth: Number of blocks.
        channels: Channels of every block's output.
        stride: Stride of the first block; all others have stride 1.
        map_size: Height and width of every block's output.
    """
    depth: int
    channels: int
    stride: int
    map_size: Size


def resolve_depths(depth: int | Sequence[int]) -> tuple[int, ...]:
    """Look up the blocks in every stage by number of layers, or take them.

    Raises:
        ValueError: If the number is unknown, or they are no positive
            integers.
    """
    if isinstance(depth, int):
        if depth not in DEPTHS:
            raise ValueError(f'depth {depth} is unknown: choose from '
                             f'{", ".join(map(str, DEPTHS))}, or list the '
                             'blocks of every stage')
        return DEPTHS[depth]
    if not isinstance(depth, Sequence) or not depth or any(
            type(blocks) is not int or blocks < 1 for blocks in depth):
        raise ValueError('depth must be a number of layers or a list of '
                         f'positive integers, one for each stage, got '
                         f'{depth!r}')
    return tuple(depth)


def resnet_stages(depths: Sequence[int], img_size: Size,
                  base_channels: int) -> tuple[ResNetStage, ...]:
    """Lay out the stages of a ResNet.

    The stem halves the image twice and every stage but the first once more,
    rounding up; channels double from stage to stage.

    Args:
        depths: Blocks in every stage.
        img_size: Height and width of the images.
        base_channels: Channels of the stem; the first stage has four times as
            many.
    """
    size, stages = _halved(_halved(img_size)), []
    for i, depth in enumerate(depths):
        stride = 1 if i == 0 else 2
        size = size if i == 0 else _halved(size)
        stages.append(
            ResNetStage(depth, base_channels * _EXPANSION << i, stride, size))
    return tuple(stages)


def _halved(size: Size) -> Size:
    return -(-size[0] // 2), -(-size[1] // 2)
