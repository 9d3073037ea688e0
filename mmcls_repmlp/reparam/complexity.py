"""Count what a model holds and what it computes."""
from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


class Complexity(NamedTuple):
    """Size and work of a model.

    Attributes:
        params: Number of parameters.
        macs: Multiply-accumulate operations for one input; what papers call
            FLOPs. Convolutions and matrix products count.
    """
    params: int
    macs: int


@torch.no_grad()
def complexity(model: nn.Module, input_shape: tuple[int, ...]) -> Complexity:
    """Count parameters and MACs of one forward pass in eval mode.

    Args:
        model: Model on any device, ``meta`` included.
        input_shape: Shape (C, H, W) of one input.

    Returns:
        The counts.
    """
    parameter = next(model.parameters())
    x = torch.zeros(
        1, *input_shape, dtype=parameter.dtype, device=parameter.device)
    training = model.training
    model.eval()
    with FlopCounterMode(display=False) as counter:
        model(x)
    model.train(training)
    params = sum(p.numel() for p in model.parameters())
    return Complexity(params, counter.get_total_flops() // 2)
