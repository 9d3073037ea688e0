"""Wrapper of a model for export: preprocessing and precision."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from repmlp_lite.exported.card import EMBEDDING, LOGITS


class ExportWrapper(nn.Module):
    """Model for export: float32 output and, optionally, raw input images.

    Args:
        model: Model that maps normalised images (N, 3, H, W) to logits
            (N, classes) or unit vectors (N, D).
        mean: Mean of every channel, for input images that are uint8 RGB. None
            (default) for normalised float32 images.
        std: Standard deviation of every channel. Defaults to None.
        reverse_channels: Whether raw images are converted to BGR.
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
        # An attribute of FusedModel.
        is_embedding = getattr(model, 'normalizes', False)
        self.output = EMBEDDING if is_embedding else LOGITS
        self.reverse_channels = reverse_channels
        self.raw = mean is not None
        if mean is not None and std is not None:
            center, scale = torch.tensor([mean, std]).view(2, -1, 1, 1)
            self.register_buffer('scale', 1 / scale)
            self.register_buffer('shift', -center / scale)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits (N, classes) or unit vectors (N, D), float32."""
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
