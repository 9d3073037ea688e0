"""Readers of exported files, one module for each format."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from repmlp_lite.errors import UserError, option


class Loaded(NamedTuple):
    """Content of an exported file, as its runtime has loaded it.

    Attributes:
        compute: From images to logits, unchecked.
        shape: Shape (C, H, W) of an image.
        dtype: Name of the dtype of images.
    """
    compute: Callable[[np.ndarray], np.ndarray]
    shape: tuple[int | str, ...]
    dtype: str


def needs_trust(path: Path, reason: str) -> UserError:
    """Make the error for a file that may do more than arithmetic."""
    return UserError(f'{str(path)!r} was not loaded, because {reason}: where '
                     f'you trust the file, pass {option("trust")}')
