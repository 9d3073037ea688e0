"""Shape of the images that a model takes."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

_USUAL_SIZE = (224, 224)
_USUAL_CHANNELS = 3


def input_shape(model: nn.Module,
                size: Sequence[int] | None = None) -> tuple[int, int, int]:
    """Return the shape of one image that a model takes.

    Args:
        model: A classifier, perhaps inside a wrapper for test-time
            augmentation, or a backbone.
        size: Height and width to use instead of the model's own.

    Returns:
        Channels of the first convolution, or 3 if there is none; height and
        width of the backbone's ``img_size``, or 224x224 if it has none.
    """
    inner: Any = getattr(model, 'module', model)
    backbone = getattr(inner, 'backbone', inner)
    if size is None:
        size = getattr(backbone, 'img_size', _USUAL_SIZE)
        size = (size, size) if isinstance(size, int) else size
    height, width = size
    channels = next(
        (module.in_channels
         for module in backbone.modules() if isinstance(module, nn.Conv2d)),
        _USUAL_CHANNELS)
    return channels, height, width
