"""Pictures of images: their names, colours and size."""
from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import mmcv
import numpy as np

from repmlp_lite.errors import UserError, option
from repmlp_lite.files import check_writable

READABLE = 224  # pixels of the shorter side of an image with text on it
_LONGEST_NAME = 200  # bytes; file systems take 255


class PictureNames:
    """Names of pictures: paths of images below a folder, each only once."""

    def __init__(self, root: str | Path) -> None:
        self.root = root
        self.given: set[str] = set()

    def of(self, path: str | Path, index: int) -> str:
        """Name the picture of an image; the index is added if it must be."""
        name = '_'.join(PurePath(os.path.relpath(path, self.root)).parts)
        name = name.encode()[-_LONGEST_NAME:].decode(errors='ignore')
        if name in self.given:  # a/b_c and a_b/c, or one image twice
            name = f'{name}_{index:06}'
        self.given.add(name)
        return f'{name}.png'


def to_picture(data: Mapping[str, Any], bgr: bool) -> np.ndarray:
    """Convert the image inside a pipeline to RGB of (H, W, 3), uint8.

    It may have one channel, or none; a ``Normalize`` step is undone.
    """
    image, norm = np.array(data['img']), data.get('img_norm_cfg')
    if norm is not None:
        image = mmcv.imdenormalize(
            image, norm['mean'], norm['std'], to_bgr=norm['to_rgb'])
    image = np.clip(np.round(image), 0, 255).astype(np.uint8)
    if image.ndim == 2 or image.shape[2] == 1:
        return mmcv.gray2rgb(image.reshape(image.shape[:2]))
    return mmcv.bgr2rgb(image) if bgr else image


def check_folder(folder: str | Path, force: bool) -> None:
    """Raise UserError if pictures cannot go to a folder, new or empty."""
    folder = Path(folder)
    check_writable(folder / 'picture', force=True)
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise UserError(f'folder {str(folder)!r} is not empty: choose another '
                        f'one, or pass {option("force")} to replace pictures '
                        'in it')
