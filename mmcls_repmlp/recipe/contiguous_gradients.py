"""Gradients in the layout of their weights, for several processes."""
from __future__ import annotations

from torch import Tensor, nn


def make_gradients_contiguous(model: nn.Module) -> None:
    """Let gradients come in the layout that several processes add them in.

    A convolution over maps that lie channels last gives the gradient of its
    weights channels last as well. Torch would warn of that and copy it. Of a
    1x1 convolution only the strides differ, so that nothing is copied here.

    Args:
        model: The model, in place; its weights are contiguous.
    """
    for weight in model.parameters():
        if weight.requires_grad and weight.dim() == 4:
            weight.register_hook(_plain)


def _plain(gradient: Tensor) -> Tensor:
    return gradient.reshape(-1).view(gradient.shape)
