"""Readers of exported files, one module for each format.

Each has a function ``read(path, exact, trust)``, whose arguments are those of
:func:`~repmlp_lite.exported.load_exported.load_exported`.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from repmlp_lite.errors import (InputError, JobFailedError, UserError, option,
                                translate)


@dataclass
class ExportedModel:
    """An exported file, ready to run on the CPU.

    A call takes images (N, C, H, W) as an array and gives logits
    (N, classes), or vectors (N, D), in float32.

    Attributes:
        path: The file.
        compute: The same as a call, without checks.
        shape: Shape (C, H, W) of an image.
        dtype: Name of the dtype of images, 'float32' or 'uint8'.
    """
    path: Path
    compute: Callable[[np.ndarray], np.ndarray]
    shape: tuple[int | str, ...]
    dtype: str

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Run the file on a batch of its shape and dtype."""
        images = np.ascontiguousarray(images)
        if images.shape[1:] != self.shape or images.dtype != self.dtype:
            wanted = ', '.join(['N', *map(str, self.shape)])
            raise InputError(
                f'{str(self.path)!r} takes {self.dtype} images of shape '
                f'({wanted}), found {images.dtype} of {images.shape}: prepare '
                'them so, or export again with '
                f'{option("shape", "HEIGHT WIDTH")}')
        with translate(JobFailedError,
                       f'{str(self.path)!r} cannot be computed', Exception):
            return self.compute(images)


def needs_trust(path: Path, reason: str) -> UserError:
    """Make the error for a file that may do more than arithmetic."""
    return UserError(f'{str(path)!r} was not loaded, because {reason}: where '
                     f'you trust the file, pass {option("trust")}')
