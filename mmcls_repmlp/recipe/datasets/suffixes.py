"""Which suffixes of images stand for a format that can be read here."""
from __future__ import annotations

from functools import lru_cache

import cv2

from repmlp_lite.image_files import FORMATS


@lru_cache(maxsize=1)
def readable_suffixes() -> tuple[str, ...]:
    """Name the suffixes of the images that the installed OpenCV reads.

    Returns:
        In lower case, with their dots. OpenCV is built with or without a
        format as a whole, and says of writing alone whether it is there.
    """
    return tuple(suffix for suffix, known in FORMATS.items()
                 if cv2.haveImageWriter(f'image{known}'))
