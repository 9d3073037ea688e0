"""Which image sizes a RepMLPNet takes: whole partitions at every stage."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from repmlp_lite.errors import InputError

Size = tuple[int, int]


@dataclass(frozen=True)
class PartitionGrid:
    """The partitions of all stages, which follow from the training size.

    Attributes:
        img_size: Height and width of the images trained on.
        map_size: Height and width of the first stage's map of such an image.
        stride: Strides of the stem.
        num_stages: Number of stages, each with half the map of the one
            before.

    Raises:
        ValueError: If the last stage would have no positions left.
    """
    img_size: Size
    map_size: Size
    stride: Size
    num_stages: int

    def __post_init__(self) -> None:
        """Check the number of stages."""
        if min(self.sizes[-1]) < 1:
            raise ValueError(f'img_size {self.img_size} is too small for '
                             f'{self.num_stages} stages')

    @cached_property
    def sizes(self) -> list[Size]:
        """Height and width of a partition, for every stage."""
        return self._halvings(self.map_size)

    @property
    def tiles_evenly(self) -> bool:
        """Whether multiples of ``img_size`` have multiples of its maps."""
        return all(side == part * stride << (self.num_stages - 1)
                   for side, part, stride in zip(self.img_size, self.sizes[-1],
                                                 self.stride))

    def check(self, map_size: Sequence[int],
              image_size: Sequence[int]) -> None:
        """Make sure that all stages can be cut into whole partitions.

        Maps are compared, not images: for an img_size that the strides do not
        divide, its multiples do not give multiples of its maps.

        Args:
            map_size: Height and width of the first stage's map.
            image_size: Height and width of the images, for the message.

        Raises:
            InputError: If they cannot, which is a ValueError; the message
                names a size that fits.
        """
        if all(big and not big % small
               for size, part in zip(self._halvings(map_size), self.sizes)
               for big, small in zip(size, part)):
            return
        # While a graph is traced, sizes are tensors.
        height, width = map(int, image_size)
        h, w = self.img_size
        remedy = f'use {h}x{w}'
        if self.tiles_evenly:
            rows, cols = (max(1, round(got / side))
                          for got, side in zip((height, width), self.img_size))
            remedy += (' or any multiple of it (pad_to_multiple=True pads to '
                       f'one), the nearest being {rows * h}x{cols * w}')
        raise InputError(f'images of {height}x{width} do not '
                         f'fit img_size={h}x{w}: {remedy}')

    def _halvings(self, size: Sequence[int]) -> list[Size]:
        return [(size[0] >> i, size[1] >> i) for i in range(self.num_stages)]
