"""Image files, read and resized as a recorded test pipeline does it.

A pipeline is recorded as the settings of its transforms, under the names that
configs use, with all defaults. Every step calls the same function of the same
library as mmcv 2.0.1, because others decode and resize a little differently;
opencv is imported only where the pipeline uses it.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from repmlp_lite.errors import ImageError, UserError, translate
from repmlp_lite.image_files import is_cut_off

from .card import is_number, is_side

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
EDGES = ('short', 'long', 'width', 'height')
# Behind transparent grey images, as mmcv has it.
_CANVAS = (124, 117, 104)


def read_pixels(path: str | Path,
                pipeline: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Read an image and follow a recorded pipeline.

    Args:
        path: The image file.
        pipeline: Steps that have passed :func:`check_pipeline`.

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
            follow, _ = _STEPS[step['type']]
            image = follow(image, **_settings(step))
    return image if image.ndim == 3 else image[:, :, None]


def _settings(step: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in step.items() if key != 'type'}


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
        cv2.IMREAD_COLOR
        if color_type.startswith('color') else cv2.IMREAD_GRAYSCALE)
    if color_type.endswith(_IGNORE):
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
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
    height, width = image.shape[:2]
    if scale is None:
        scale = _scaled((width, height), scale_factor)
    if keep_ratio:
        factor = min(
            max(scale) / max(height, width),
            min(scale) / min(height, width))
        scale = _scaled((width, height), (factor, factor))
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


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(
        map(is_side, value))


def _is_load(color_type: Any, imdecode_backend: Any) -> bool:
    return color_type in COLORS and imdecode_backend in FILTERS


def _is_resize(scale: Any, scale_factor: Any, keep_ratio: Any, backend: Any,
               interpolation: Any) -> bool:
    by_factor = scale is None and isinstance(
        scale_factor, list) and (len(scale_factor) == 2) and all(
            is_number(factor) and 0 < factor < 2**16
            for factor in scale_factor)
    return type(keep_ratio) is bool and interpolation in FILTERS[backend] and (
        by_factor or _is_pair(scale))


def _is_edge(scale: Any, edge: Any, backend: Any, interpolation: Any) -> bool:
    return is_side(scale) and edge in EDGES and (interpolation
                                                 in FILTERS[backend])


def _is_pad(size: Any, size_divisor: Any, pad_to_square: Any,
            pad_val: Any) -> bool:
    return type(pad_to_square) is bool and type(pad_val) is int and (
        0 <= pad_val <= 255) and (size is None or _is_pair(size)) and (
            size_divisor is None or is_side(size_divisor))


# The function that follows a step, and the one that checks its settings.
_STEPS: Mapping[str, tuple[Callable[..., np.ndarray], Callable[..., bool]]] = {
    'LoadImageFromFile': (_decode, _is_load),
    'Resize': (_resize, _is_resize),
    'ResizeEdge': (_resize_edge, _is_edge),
    'CenterCrop': (_center_crop, lambda crop_size: _is_pair(crop_size)),
    'Pad': (_pad, _is_pad),
}


def check_pipeline(pipeline: Sequence[Mapping[str, Any]]) -> None:
    """Raise ValueError if a step or setting of a pipeline is unknown."""
    for position, step in enumerate(pipeline):
        kind = step.get('type')
        if not isinstance(kind, str) or kind not in _STEPS or (
            (kind == 'LoadImageFromFile') != (position == 0)):
            raise ValueError(f'{kind!r:.40} cannot be step {position + 1}')
        _, is_right = _STEPS[kind]
        try:
            right = is_right(**_settings(step))
        except (TypeError, KeyError):  # other names, or a list for a name
            right = False
        if not right:
            raise ValueError(f'{kind} cannot be {dict(step)!r:.80}')
    if not pipeline:
        raise ValueError('it has no steps')
