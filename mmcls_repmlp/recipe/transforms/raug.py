"""Random augmentation of RepMLPNet's official training, raug15.

Source: github.com/DingXiaoH/RepMLP at 3eff13f, randaug.py and cutout.py. The
operations work on Pillow's RGB images, as they do there, and so give the same
pixels. The host's, which work on OpenCV's, differ in interpolation, edges and
rounding; docs/training.md has the figures.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from PIL import Image, ImageEnhance, ImageOps

from mmcls_repmlp.host import TRANSFORMS
from repmlp_lite.errors import InputError

FILL = (128, 128, 128)  # where a moved image leaves nothing
CUTOUT_FILL = (125, 122, 113)
RESAMPLES = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)


class Draw(NamedTuple):
    """Random choices for one operation on one image."""
    name: str  # key of OPERATIONS
    magnitude: int  # from 0 on
    sign: int = 1  # or -1, the direction of operations that have one
    resample: int = RESAMPLES[0]
    centre: tuple[float, float] = (0.5, 0.5)  # (x, y) in [0, 1) of the image


class Scale(NamedTuple):
    """Map from a magnitude to the argument of an operation."""
    slope: float  # what a magnitude of 10 adds; larger ones go on
    offset: float = 0.
    whole: bool = False  # whether fractions are cut off
    signed: bool = False  # whether the value has a direction

    def value(self, draw: Draw) -> float:
        """Compute the argument for a draw."""
        value = draw.magnitude / 10 * self.slope + self.offset
        value = int(value) if self.whole else value
        return value * draw.sign if self.signed else value


def apply(image: Image.Image, draw: Draw) -> Image.Image:
    """Apply the operation of a draw to an RGB image and return the result."""
    operation, scale = OPERATIONS[draw.name]
    return operation(image, scale.value(draw) if scale else 0, draw)


def _enhanced(enhancer: type) -> Callable:
    return lambda image, value, draw: enhancer(image).enhance(value)


def _moved(matrix: Callable) -> Callable:
    # The matrix leads from a pixel of the result to its source.
    return lambda image, value, draw: image.transform(
        image.size,
        Image.Transform.AFFINE,
        matrix(value, *image.size),
        resample=draw.resample,
        fillcolor=FILL)


def _rotate(image: Image.Image, degrees: float, draw: Draw) -> Image.Image:
    return image.rotate(
        degrees, resample=Image.Resampling(draw.resample), fillcolor=FILL)


def _posterize(image: Image.Image, bits: int, draw: Draw) -> Image.Image:
    # With no bit left all is black. Pillow 13 refuses to do that.
    mask = 256 - 2**(8 - bits)
    return image.point([i & mask for i in range(256)] * 3)


def _solarize_add(image: Image.Image, add: int, draw: Draw) -> Image.Image:
    table = [min(i + add, 255) if i < 128 else i for i in range(256)]
    return image.point(table * 3)


def _cutout(image: Image.Image, size: int, draw: Draw) -> Image.Image:
    half = max(size // 2, 1)
    x, y = (int(u * n) for u, n in zip(draw.centre, image.size))
    box = (max(x - half, 0), max(y - half, 0), min(x + half, image.width),
           min(y + half, image.height))
    image = image.copy()
    image.paste(CUTOUT_FILL, box)
    return image


_FACTOR = Scale(1.8, offset=0.1)
_SHEAR = Scale(0.3, signed=True)
_SHIFT = Scale(0.45, signed=True)  # of the width or height

OPERATIONS: dict[str, tuple[Callable, Scale | None]] = {
    'AutoContrast': (lambda image, *_: ImageOps.autocontrast(image), None),
    'Equalize': (lambda image, *_: ImageOps.equalize(image), None),
    'Invert': (lambda image, *_: ImageOps.invert(image), None),
    'Rotate': (_rotate, Scale(30, signed=True)),
    'Posterize': (_posterize, Scale(4, whole=True)),
    'Solarize': (lambda image, value, _: ImageOps.solarize(image, value),
                 Scale(256, whole=True)),
    'SolarizeAdd': (_solarize_add, Scale(110, whole=True)),
    'Color': (_enhanced(ImageEnhance.Color), _FACTOR),
    'Contrast': (_enhanced(ImageEnhance.Contrast), _FACTOR),
    'Brightness': (_enhanced(ImageEnhance.Brightness), _FACTOR),
    'Sharpness': (_enhanced(ImageEnhance.Sharpness), _FACTOR),
    'ShearX': (_moved(lambda v, w, h: (1, v, 0, 0, 1, 0)), _SHEAR),
    'ShearY': (_moved(lambda v, w, h: (1, 0, 0, v, 1, 0)), _SHEAR),
    'TranslateX': (_moved(lambda v, w, h: (1, 0, v * w, 0, 1, 0)), _SHIFT),
    'TranslateY': (_moved(lambda v, w, h: (1, 0, 0, 0, 1, v * h)), _SHIFT),
    'Cutout': (_cutout, Scale(40, whole=True)),
}


@TRANSFORMS.register_module()
class RAug(BaseTransform):
    """Some operations in turn, each drawn anew with a magnitude of its own.

    All draws are uniform: the operation, with replacement; the magnitude, a
    whole number; direction, interpolation and place where an operation has
    them. Numbers come from numpy's global generator, as in the host's
    transforms, so that mmengine's seed covers them. The source's
    RandAugPolicy(layers=2, magnitude=15).

    Args:
        num_ops: Operations per image. Defaults to 2.
        num_magnitudes: Magnitudes run from 0 to one less. Defaults to 15.

    Raises:
        ValueError: If one of them is not a whole number from 1 on.
    """

    def __init__(self, num_ops: int = 2, num_magnitudes: int = 15) -> None:
        for value in (num_ops, num_magnitudes):
            if type(value) is not int or value < 1:
                raise ValueError('num_ops and num_magnitudes must be whole '
                                 f'numbers from 1 on, but one is {value!r}')
        self.num_ops, self.num_magnitudes = num_ops, num_magnitudes

    def transform(self, results: dict) -> dict:
        """Replace ``img``, uint8 of shape (H, W, 3) in BGR order.

        Raises:
            InputError: If the image is of another kind.
        """
        pixels = results['img']
        if pixels.dtype != np.uint8 or pixels.shape[2:] != (3, ):
            raise InputError(
                'RAug takes colour images, uint8 of shape (H, W, 3), but got '
                f'{pixels.dtype} of shape {pixels.shape}: put it before '
                'whatever changes that')
        image = Image.fromarray(np.ascontiguousarray(pixels[..., ::-1]))
        for draw in self.draws():
            image = apply(image, draw)
        results['img'] = np.ascontiguousarray(np.asarray(image)[..., ::-1])
        return results

    @cache_randomness
    def draws(self) -> list[Draw]:
        """Draw the operations of one image."""
        randint, names = np.random.randint, [*OPERATIONS]
        return [
            Draw(
                name=names[randint(len(names))],
                magnitude=int(randint(self.num_magnitudes)),
                sign=(1, -1)[randint(2)],
                resample=RESAMPLES[randint(2)],
                centre=tuple(np.random.random(2))) for _ in range(self.num_ops)
        ]

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(num_ops={self.num_ops}, '
                f'num_magnitudes={self.num_magnitudes})')
