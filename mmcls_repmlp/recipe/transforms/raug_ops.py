"""The image operations of raug15, and what a magnitude means to each.

Source: github.com/DingXiaoH/RepMLP at 3eff13f, randaug.py and cutout.py. They
work on Pillow's RGB images, and so do these: the pixels are then the same.
The host's operations, which work on OpenCV's, differ in interpolation, edges
and rounding; docs/training.md has the figures.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from PIL import Image, ImageEnhance, ImageOps

FULL_SCALE = 10  # the magnitude that `slope` belongs to; larger ones go on
FILL = (128, 128, 128)  # where a moved image leaves nothing
CUTOUT_FILL = (125, 122, 113)
SMALLEST_CUTOUT = 2
RESAMPLES = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)


class Draw(NamedTuple):
    """All that is random about one operation on one image.

    Attributes:
        name: Key of :data:`OPERATIONS`.
        magnitude: Strength, a whole number from 0 on.
        sign: 1 or -1, the direction of operations that have one.
        resample: One of :data:`RESAMPLES`, for operations that interpolate.
        centre: Where a cutout goes, (x, y) in [0, 1) of the image.
    """
    name: str
    magnitude: int
    sign: int = 1
    resample: int = RESAMPLES[0]
    centre: tuple[float, float] = (0.5, 0.5)


class Scale(NamedTuple):
    """From a magnitude to the value that an operation takes.

    Attributes:
        slope: What a magnitude of :data:`FULL_SCALE` adds.
        offset: The value at magnitude 0. Defaults to 0.
        whole: Whether fractions are cut off. Defaults to False.
        signed: Whether the value has a direction. Defaults to False.
    """
    slope: float
    offset: float = 0.
    whole: bool = False
    signed: bool = False

    def value(self, draw: Draw) -> float:
        """Compute the value of a draw."""
        value = draw.magnitude / FULL_SCALE * self.slope + self.offset
        if self.whole:
            value = int(value)
        return value * draw.sign if self.signed else value


def apply(image: Image.Image, draw: Draw) -> Image.Image:
    """Apply the operation of a draw to an RGB image and return the result."""
    operation, scale = OPERATIONS[draw.name]
    return operation(image, scale.value(draw) if scale else 0, draw)


def _plain(function: Callable) -> Callable:
    return lambda image, value, draw: function(image)


def _valued(function: Callable) -> Callable:
    return lambda image, value, draw: function(image, value)


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


def _posterize(image: Image.Image, bits: int) -> Image.Image:
    # With no bit left all is black. Pillow 13 refuses to do that.
    mask = 256 - 2**(8 - bits)
    return image.point([i & mask for i in range(256)] * 3)


def _solarize_add(image: Image.Image, add: int) -> Image.Image:
    table = [min(i + add, 255) if i < 128 else i for i in range(256)]
    return image.point(table * 3)


def _cutout(image: Image.Image, size: int, draw: Draw) -> Image.Image:
    half = max(size, SMALLEST_CUTOUT) // 2
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
    'AutoContrast': (_plain(ImageOps.autocontrast), None),
    'Equalize': (_plain(ImageOps.equalize), None),
    'Invert': (_plain(ImageOps.invert), None),
    'Rotate': (_rotate, Scale(30, signed=True)),
    'Posterize': (_valued(_posterize), Scale(4, whole=True)),
    'Solarize': (_valued(ImageOps.solarize), Scale(256, whole=True)),
    'SolarizeAdd': (_valued(_solarize_add), Scale(110, whole=True)),
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
