"""Shape of the input images of a model."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn


def input_shape(model: nn.Module,
                size: Sequence[int] | None = None) -> tuple[int, int, int]:
    """Return the shape (C, H, W) of one input image of a model.

    Args:
        model: A backbone, or a classifier, perhaps wrapped for test-time
            augmentation.
        size: Height and width to use instead of the model's own.

    Returns:
        Channels of the first convolution, or 3 if there is none; height and
        width of the ``img_size`` of the backbone, or of a module in it as
        timm's patch embedding, or 224x224 if there is none.
    """
    inner: Any = getattr(model, 'module', model)
    backbone = getattr(inner, 'backbone', inner)
    own: Any = next(
        (module.img_size
         for module in backbone.modules() if hasattr(module, 'img_size')), 224)
    height, width = size or ((own, own) if isinstance(own, int) else own)
    channels = next(
        (module.in_channels
         for module in backbone.modules() if isinstance(module, nn.Conv2d)), 3)
    return channels, height, width
