"""ReLU in place, where nobody could tell."""
from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


class ReLU(nn.ReLU):
    """ReLU that overwrites its input where no gradient is wanted.

    With gradients it does not: torch refuses to overwrite what a module with a
    backward hook gave. In training that costs nothing that could be measured,
    as the norm's output before it is not kept for backward.
    """

    def __init__(self) -> None:
        super().__init__(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map a tensor of any shape."""
        return F.relu(x, self.inplace and not torch.is_grad_enabled())
