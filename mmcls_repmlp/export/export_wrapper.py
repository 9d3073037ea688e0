"""What surrounds a model in an exported file: preprocessing and precision."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ExportWrapper(nn.Module):
    """A model with float32 output, and perhaps raw images as its input.

    Args:
        model: From normalised images (N, 3, H, W) to logits (N, classes) or
            unit vectors (N, D).
        mean: Mean of every channel to normalise by, in the model's order of
            channels; None for images that are normalised already. Defaults to
            None.
        std: Standard deviation of every channel. Defaults to None.
        reverse_channels: Whether the model takes BGR images, so that RGB ones
            must be turned round. Defaults to False.
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
        # The name of what comes out, see FusedModel.
        self.output = 'embedding' if getattr(model, 'unit',
                                             False) else 'logits'
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
        """Keep the model's weights in another dtype, in place."""
        self.model.to(dtype)
        self.dtype = dtype
        return self


def _per_channel(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)


class _Sized(nn.Module):
    # Compiled, where everything else is traced: a traced file runs on other
    # sizes too, and gives numbers that mean nothing.

    def __init__(self, model: nn.Module, size: list[int], dtype: torch.dtype,
                 message: str) -> None:
        super().__init__()
        self.model = model
        self.size = size
        self.dtype = dtype
        self.message = message

    def forward(self, images: Tensor) -> Tensor:
        if images.dtype != self.dtype or images.shape[1:] != self.size:
            raise ValueError(self.message)
        return self.model(images)


def sized_script(traced: torch.jit.ScriptModule, input_shape: Sequence[int],
                 dtype: torch.dtype) -> torch.jit.ScriptModule:
    """Make a traced model refuse images that it was not traced for.

    Args:
        traced: The model.
        input_shape: Shape (C, H, W) of an image.
        dtype: dtype of images.

    Returns:
        A script whose ``size`` and ``dtype`` say what it takes.
    """
    sizes = ', '.join(map(str, input_shape))
    return torch.jit.script(
        _Sized(traced, list(input_shape), dtype,
               f'this file takes {dtype} images of shape (N, {sizes}) only'))
