"""Counts of parameters and multiply-accumulate operations."""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


class Complexity(NamedTuple):
    """Size and work of a model.

    Attributes:
        params: Number of parameters.
        macs: Multiply-accumulate operations of convolutions and matrix
            products for one input; papers call them FLOPs.
    """
    params: int
    macs: int


@torch.no_grad()
def complexity(model: nn.Module, input_shape: tuple[int, ...]) -> Complexity:
    """Count parameters and MACs of one forward pass in eval mode.

    Args:
        model: Model on any device, ``meta`` included.
        input_shape: Shape (C, H, W) of one input.
    """
    like = next(model.parameters())
    x = torch.zeros(1, *input_shape, dtype=like.dtype, device=like.device)
    training = model.training
    model.eval()
    with FlopCounterMode(display=False) as counter:
        model(x)
    model.train(training)
    params = sum(p.numel() for p in model.parameters())
    return Complexity(params, counter.get_total_flops() // 2)
