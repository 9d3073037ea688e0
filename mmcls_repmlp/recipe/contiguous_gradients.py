"""Gradients in the layout of their weights, for several processes."""
from __future__ import annotations

from torch import nn


def make_gradients_contiguous(model: nn.Module) -> None:
    """Make gradients of convolutions contiguous in a model, in place.

    A convolution over channels-last maps gives a channels-last gradient, which
    torch would copy with a warning. Of a 1x1 convolution only the strides
    differ, so that nothing is copied here.
    """
    for weight in model.parameters():
        if weight.requires_grad and weight.dim() == 4:
            weight.register_hook(
                lambda gradient: gradient.reshape(-1).view(gradient.shape))
