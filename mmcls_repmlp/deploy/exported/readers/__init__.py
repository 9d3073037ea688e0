"""Readers of exported files that run nothing but arithmetic from them."""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


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
