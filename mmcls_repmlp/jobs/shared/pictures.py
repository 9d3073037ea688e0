"""Pictures for people: of a readable size, side by side, with names."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mmcv
import numpy as np

from repmlp_lite.errors import UserError, option
from repmlp_lite.files import check_writable

READABLE = 224  # pixels that an image with text on it should have
_GAP = 8


def picture(data: Mapping[str, Any], bgr: bool) -> np.ndarray:
    """Show what a pipeline has made of an image so far.

    Normalisation is undone, so that colours look as in the file.

    Args:
        data: What the pipeline carries, with ``img`` of shape (H, W, C) or
            (H, W), any dtype.
        bgr: Whether its channels are in that order, else RGB.

    Returns:
        RGB of shape (H, W, 3), uint8.
    """
    image, norm = np.array(data['img']), data.get('img_norm_cfg')
    if norm is not None:
        image = mmcv.imdenormalize(
            image, norm['mean'], norm['std'], to_bgr=norm['to_rgb'])
    image = np.clip(np.round(image), 0, 255).astype(np.uint8)
    if image.ndim == 2 or image.shape[2] == 1:
        return mmcv.gray2rgb(image.reshape(image.shape[:2]))
    return mmcv.bgr2rgb(image) if bgr else image


def readable(image: np.ndarray) -> np.ndarray:
    """Scale a small image up; its pixels stay squares of one colour.

    Args:
        image: Shape (H, W, 3).

    Returns:
        The image, with no side shorter than :data:`READABLE`.
    """
    factor = READABLE / min(image.shape[:2])
    if factor <= 1:
        return image
    return mmcv.imrescale(image, factor, interpolation='nearest')


def side_by_side(images: Sequence[np.ndarray]) -> tuple[np.ndarray, list[int]]:
    """Set images in a row, all of the height of the highest.

    Args:
        images: Each of shape (H, W, 3), uint8.

    Returns:
        The row on white, and the column at which each image starts.
    """
    images = [readable(image) for image in images]
    height = max(image.shape[0] for image in images)
    row: list[np.ndarray] = []
    starts = []
    for image in images:
        width = round(image.shape[1] * height / image.shape[0])
        starts.append(sum(part.shape[1] for part in row))
        row += [mmcv.imresize(image, (width, height)), white(height, _GAP)]
    return np.hstack(row[:-1]), starts


def white(height: int, width: int) -> np.ndarray:
    """Make an empty image."""
    return np.full((height, width, 3), 255, np.uint8)


def check_folder(folder: str | Path, force: bool) -> None:
    """Refuse a folder for pictures that has others in it, unless told to.

    Raises:
        UserError: If there are files in it and ``force`` is not set, or it
            cannot be written to.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise UserError(f'{str(folder)!r} is a file: name a folder')
    check_writable(folder / 'picture', force=True)
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise UserError(f'folder {str(folder)!r} is not empty: choose another '
                        f'one, or pass {option("force")} to replace pictures '
                        'in it')
