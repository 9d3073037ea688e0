"""Wrapper of a model for export: preprocessing and precision."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from repmlp_lite.exported.card import EMBEDDING, LOGITS


class ExportWrapper(nn.Module):
    """A model with float32 output, and perhaps raw images as its input.

    Args:
        model: From normalised images (N, 3, H, W) to logits (N, classes) or
            unit vectors (N, D).
        mean: Mean of every channel to normalise by, in the model's order of
            channels; None for images that are normalised already. Defaults to
            None.
        std: Standard deviation of every channel. Defaults to None.
        reverse_channels: Whether raw images, which are RGB, are turned to BGR
            for the model. Defaults to False.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self,
                 model: nn.Module,
                 mean: Sequence[float] | None = None,
                 std: Sequence[float] | None = None,
                 reverse_channels: bool = False) -> None:
        super().__init__()
        self.model = model
        self.dtype = next(model.parameters()).dtype
        # FusedModel has the attribute.
        is_embedding = getattr(model, 'normalizes', False)
        self.output = EMBEDDING if is_embedding else LOGITS
        self.reverse_channels = reverse_channels
        self.raw = mean is not None
        if mean is not None and std is not None:
            self.register_buffer('scale', 1 / _per_channel(std))
            self.register_buffer('shift',
                                 -_per_channel(mean) / _per_channel(std))
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits, or unit vectors.

        Args:
            images: Shape (N, 3, H, W): uint8 RGB if the normalisation is
                included, otherwise normalised float32.

        Returns:
            Logits of shape (N, classes), or vectors (N, D), float32.
        """
        if self.raw:
            if self.reverse_channels:
                images = images.flip(1)
            images = torch.addcmul(self.shift, images.float(), self.scale)
        return self.model(images.to(self.dtype)).float()

    def to_precision(self, dtype: torch.dtype) -> ExportWrapper:
        """Convert the model's weights to a dtype, in place."""
        self.model.to(dtype)
        self.dtype = dtype
        return self


def _per_channel(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)
