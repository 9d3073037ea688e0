"""The random augmentation of RepMLPNet's official training, raug15."""
from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from PIL import Image

from mmcls_repmlp.host import TRANSFORMS
from repmlp_lite.errors import InputError

from .raug_ops import OPERATIONS, RESAMPLES, Draw, apply

_NAMES = tuple(OPERATIONS)


@TRANSFORMS.register_module()
class RAug(BaseTransform):
    """Apply some operations, each drawn anew with a magnitude of its own.

    All of it is uniform: the operation, with replacement; the magnitude, a
    whole number; direction, interpolation and place where an operation has
    them. Nothing is ever skipped. Numbers come from numpy's global generator,
    as in the host's transforms, so that mmengine's seed covers them.

    Source: github.com/DingXiaoH/RepMLP at 3eff13f, randaug.py; there, the
    class RandAugPolicy(layers=2, magnitude=15).

    Args:
        num_ops: Operations per image. Defaults to 2.
        num_magnitudes: Magnitudes run from 0 to one less. Defaults to 15.

    Raises:
        ValueError: If one of them is not a whole number from 1 on.
    """

    def __init__(self, num_ops: int = 2, num_magnitudes: int = 15) -> None:
        self.num_ops = _count('num_ops', num_ops)
        self.num_magnitudes = _count('num_magnitudes', num_magnitudes)

    def transform(self, results: dict) -> dict:
        """Replace ``img``, uint8 of shape (H, W, 3) in BGR order.

        Raises:
            InputError: If the image is of another kind.
        """
        image = _to_pillow(results['img'])
        for draw in self.draws():
            image = apply(image, draw)
        results['img'] = _to_bgr(image)
        return results

    @cache_randomness
    def draws(self) -> list[Draw]:
        """Draw the operations of one image."""
        return [self._draw() for _ in range(self.num_ops)]

    def _draw(self) -> Draw:
        randint = np.random.randint
        return Draw(
            name=_NAMES[randint(len(_NAMES))],
            magnitude=int(randint(self.num_magnitudes)),
            sign=(1, -1)[randint(2)],
            resample=RESAMPLES[randint(2)],
            centre=tuple(np.random.random(2)))

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(num_ops={self.num_ops}, '
                f'num_magnitudes={self.num_magnitudes})')


def _count(name: str, value: int) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f'{name} must be a whole number from 1 on, but is '
                         f'{value!r}')
    return value


def _to_pillow(image: np.ndarray) -> Image.Image:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError('RAug takes colour images, uint8 of shape (H, W, 3), '
                         f'but got {image.dtype} of shape {image.shape}: put '
                         'it before whatever changes that')
    return Image.fromarray(np.ascontiguousarray(image[..., ::-1]))


def _to_bgr(image: Image.Image) -> np.ndarray:
    return np.ascontiguousarray(np.asarray(image)[..., ::-1])
