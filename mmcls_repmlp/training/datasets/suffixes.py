"""Which files of a folder are images that can be read here."""
from __future__ import annotations

from functools import lru_cache

import cv2

# Suffixes, and the one by which OpenCV knows their format. Files are read by
# what they hold; the suffix only tells images from other files.
_FORMATS = {
    '.jpg': '.jpg',
    '.jpeg': '.jpg',
    '.jpe': '.jpg',
    '.jfif': '.jpg',
    '.png': '.png',
    '.bmp': '.bmp',
    '.dib': '.bmp',
    '.webp': '.webp',
    '.tif': '.tiff',
    '.tiff': '.tiff',
    '.gif': '.gif',
    '.ppm': '.ppm',
    '.pgm': '.pgm',
    '.pbm': '.pbm',
    '.pnm': '.pnm',
    '.jp2': '.jp2',
    '.avif': '.avif'
}
# Folders that file managers, network drives and version control leave behind,
# beside all whose names start with a dot.
_NO_CLASSES = frozenset(
    ('__MACOSX', '__pycache__', '@eaDir', '@Recycle', '#recycle',
     '$RECYCLE.BIN', 'System Volume Information', 'lost+found'))


@lru_cache(maxsize=1)
def readable_suffixes() -> tuple[str, ...]:
    """Name the suffixes of the images that the installed OpenCV reads.

    Returns:
        In lower case, with their dots. OpenCV is built with or without a
        format as a whole, and says of writing alone whether it is there.
    """
    return tuple(suffix for suffix, known in _FORMATS.items()
                 if cv2.haveImageWriter(f'image{known}'))


def is_hidden(name: str) -> bool:
    """Tell whether a folder or file is none of the user's making."""
    return name.startswith('.') or name in _NO_CLASSES
