"""Image files, read and resized as a recorded test pipeline does it.

A pipeline is recorded as the settings of its transforms, under the names that
configs use, with all defaults. Every step calls the same function of the same
library as mmcv 2.0.1, because others decode and resize a little differently.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from repmlp_lite.errors import ImageError, UserError, translate
from repmlp_lite.image_files import is_cut_off

from .card import Check, is_a, is_factor, is_side, list_of, one_of

_CV2, _PILLOW = 'cv2', 'pillow'
_IGNORE = '_ignore_orientation'
COLORS = ('color', 'grayscale', f'color{_IGNORE}', f'grayscale{_IGNORE}')
# Names of filters in opencv and Pillow.
FILTERS = {
    _CV2: dict(
        nearest='INTER_NEAREST',
        bilinear='INTER_LINEAR',
        bicubic='INTER_CUBIC',
        area='INTER_AREA',
        lanczos='INTER_LANCZOS4'),
    _PILLOW: {
        name: name.upper()
        for name in ('nearest', 'bilinear', 'bicubic', 'box', 'lanczos',
                     'hamming')
    }
}
# Behind transparent grey images, as mmcv has it.
_CANVAS = (124, 117, 104)


def read_pixels(path: str | Path,
                pipeline: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Read an image and follow a pipeline that :func:`check_pipeline` passed.

    Returns:
        Shape (H, W, 3) in BGR order, or (H, W, 1) of grey, uint8.

    Raises:
        UserError: If opencv is needed and not installed.
        ImageError: If the image cannot be read, or no pixels are left.
    """
    with translate(
            ImageError, f'{str(path)!r} cannot be read as an image, it '
            'may be damaged or of another kind, so replace it or leave it out',
            Exception):
        image: Any = Path(path).read_bytes()
        for step in pipeline:
            settings = {**step}
            image = _STEPS[settings.pop('type')](image, **settings)
    return image if image.ndim == 3 else image[:, :, None]


def _opencv() -> ModuleType:
    try:
        import cv2
    except ImportError as error:
        raise UserError('the config reads or resizes images by opencv, whose '
                        'pixels no other library gives: run pip install '
                        'opencv-python') from error
    return cv2


def _decode(data: bytes, color_type: str, imdecode_backend: str) -> np.ndarray:
    if not data:
        raise ValueError('it is empty')
    if is_cut_off(data):  # before version 5, OpenCV fills in grey
        raise ValueError('it is cut off')
    if imdecode_backend == _PILLOW:
        return _decode_by_pillow(data, color_type)
    cv2 = _opencv()
    flags = (
        cv2.IMREAD_COLOR * color_type.startswith('color')
        | cv2.IMREAD_IGNORE_ORIENTATION * color_type.endswith(_IGNORE))
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise ValueError('opencv does not know its format')
    return image


def _decode_by_pillow(data: bytes, color_type: str) -> np.ndarray:
    with Image.open(BytesIO(data)) as opened:
        image: Image.Image = opened
        if not color_type.endswith(_IGNORE):
            image = ImageOps.exif_transpose(image)
        if image.mode == 'LA':
            layers = image.convert('RGBA')
            image = Image.new('RGB', layers.size, _CANVAS)
            image.paste(layers, mask=layers.getchannel('A'))
        image = image.convert('RGB')
        if color_type.startswith('grayscale'):
            return np.array(image.convert('L'))
        return np.array(image)[:, :, ::-1]


def _to_size(image: np.ndarray, size: Sequence[int], backend: str,
             interpolation: str) -> np.ndarray:
    name = FILTERS[backend][interpolation]
    if backend == _PILLOW:
        return np.array(
            Image.fromarray(image).resize((size[0], size[1]),
                                          Image.Resampling[name]))
    cv2 = _opencv()
    return cv2.resize(image, size, interpolation=getattr(cv2, name))


def _resize(image: np.ndarray, scale: Sequence[int] | None,
            scale_factor: Sequence[float], keep_ratio: bool, backend: str,
            interpolation: str) -> np.ndarray:
    size = image.shape[1::-1]
    if scale is None:
        scale = _scaled(size, scale_factor)
    if keep_ratio:
        factor = min(max(scale) / max(size), min(scale) / min(size))
        scale = _scaled(size, (factor, factor))
    return _to_size(image, scale, backend, interpolation)


def _scaled(size: Sequence[int], factors: Sequence[float]) -> Sequence[int]:
    return tuple(
        int(side * factor + 0.5) for side, factor in zip(size, factors))


def _resize_edge(image: np.ndarray, scale: int, edge: str, backend: str,
                 interpolation: str) -> np.ndarray:
    height, width = image.shape[:2]
    if edge in ('width', 'short' if width < height else 'long'):
        size = scale, int(scale * height / width)
    else:
        size = int(scale * width / height), scale
    return _to_size(image, size, backend, interpolation)


def _center_crop(image: np.ndarray, crop_size: Sequence[int]) -> np.ndarray:
    top, left = (max(round((side - crop) / 2), 0)
                 for side, crop in zip(image.shape, crop_size[::-1]))
    return image[top:top + crop_size[1], left:left + crop_size[0]]


def _pad(image: np.ndarray, size: Sequence[int] | None,
         size_divisor: int | None, pad_to_square: bool,
         pad_val: int) -> np.ndarray:
    old = image.shape[:2]
    new = [max(old)] * 2 if pad_to_square else [*(size or old[::-1])][::-1]
    if size_divisor is not None:
        new = [-(-side // size_divisor) * size_divisor for side in new]
    grown = [(0, max(side - before, 0)) for side, before in zip(new, old)]
    return np.pad(
        image, [*grown, (0, 0)][:image.ndim], constant_values=pad_val)


def _optional(is_right: Check) -> Check:
    return lambda value: value is None or is_right(value)


_is_pair = list_of(is_side, 2)
# The functions that follow a step, whose arguments are its settings.
_STEPS: Mapping[str, Callable[..., np.ndarray]] = {
    'LoadImageFromFile': _decode,
    'Resize': _resize,
    'ResizeEdge': _resize_edge,
    'CenterCrop': _center_crop,
    'Pad': _pad
}
_CHECKS: Mapping[str, Check] = {
    'color_type': one_of(*COLORS),
    'imdecode_backend': one_of(*FILTERS),
    'scale': lambda scale: is_side(scale) or _optional(_is_pair)(scale),
    'scale_factor': _optional(list_of(is_factor, 2)),
    'keep_ratio': is_a(bool),
    'backend': one_of(*FILTERS),
    'interpolation': one_of(*FILTERS[_CV2], *FILTERS[_PILLOW]),
    'edge': one_of('short', 'long', 'width', 'height'),
    'crop_size': _is_pair,
    'size': _optional(_is_pair),
    'size_divisor': _optional(is_side),
    'pad_to_square': is_a(bool),
    'pad_val': one_of(*range(256))
}


def check_pipeline(pipeline: Sequence[Mapping[str, Any]]) -> None:
    """Raise ValueError if a step or setting of a pipeline is unknown."""
    if not pipeline:
        raise ValueError('it has no steps')
    for position, step in enumerate(pipeline):
        kind = step.get('type')
        if not isinstance(kind, str) or kind not in _STEPS or (
            (kind == 'LoadImageFromFile') != (position == 0)):
            raise ValueError(f'{kind!r:.40} cannot be step {position + 1}')
        names = [*signature(_STEPS[kind]).parameters][1:]
        if step.keys() != {
                'type', *names
        } or not all(_CHECKS[name](step[name])
                     for name in names) or not _is_whole(step):
            raise ValueError(f'{kind} cannot be {dict(step)!r:.80}')


def _is_whole(step: Mapping[str, Any]) -> bool:
    """Return whether settings fit each other."""
    if 'backend' not in step:
        return True
    has_size = is_side(
        step['scale']) == ('edge' in step) and (step['scale']
                                                or step['scale_factor'])
    return bool(has_size and step['interpolation'] in FILTERS[step['backend']])
