"""Mixed precision on processors, in bfloat16."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class CpuAmpOptimWrapper(OptimWrapper):
    """Optimizer wrapper that computes losses in bfloat16 on CPUs.

    mmengine's ``AmpOptimWrapper`` refuses to be built without an accelerator.
    Losses are not scaled: bfloat16 has the exponents of float32, so that no
    gradient underflows. Weights, gradients and the optimizer stay in float32,
    and its state is that of the plain wrapper.

    Args:
        **kwargs: As of ``OptimWrapper``.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast to bfloat16 within the block."""
        with super().optim_context(model), torch.autocast(
                'cpu', dtype=torch.bfloat16):
            yield
