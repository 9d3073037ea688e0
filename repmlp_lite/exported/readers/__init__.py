"""Readers of exported files that run nothing but arithmetic from them."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from repmlp_lite.errors import UserError, option


class Loaded(NamedTuple):
    """What a file computes, and what it takes.

    Attributes:
        compute: From images to logits, unchecked.
        shape: Shape (C, H, W) of an image; None if the file does not say.
        dtype: Name of the dtype of images; None if the file does not say.
    """
    compute: Callable[[np.ndarray], np.ndarray]
    shape: tuple[int | str, ...] | None
    dtype: str | None


def more_than_arithmetic(path: Path, reason: str) -> UserError:
    """Refuse a file that may do more than arithmetic; the reason says what."""
    return UserError(
        f'{str(path)!r} was not loaded, because {reason}: where you '
        f'trust the file, pass {option("trust")}')
