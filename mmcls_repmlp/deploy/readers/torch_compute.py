"""From a module of torch to a function of arrays."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch


def compute_of(
        module: Callable[[torch.Tensor], torch.Tensor]
) -> Callable[[np.ndarray], np.ndarray]:
    """Make a module take and give arrays, without gradients."""

    @torch.inference_mode()
    def compute(images: np.ndarray) -> np.ndarray:
        return module(torch.from_numpy(images)).numpy()

    return compute
