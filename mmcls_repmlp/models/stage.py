"""A stage of a backbone, called as a module, perhaps by checkpointing."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from mmengine.model import Sequential
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from mmcls_repmlp.ops import is_traced, is_transformed


class Stage(Sequential):
    """Blocks one after the other.

    Args:
        *blocks: The blocks, or an OrderedDict of them.
        with_cp: Whether to trade time for memory by checkpointing each block
            in training. Defaults to False.
        init_cfg: Initialization config. Defaults to None.
    """

    def __init__(self,
                 *blocks: nn.Module,
                 with_cp: bool = False,
                 init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(*blocks, init_cfg=init_cfg)
        self.with_cp = with_cp

    def forward(self, x: Tensor) -> Tensor:
        """Run the blocks on maps (N, C, H, W)."""
        # torch.func takes no checkpoints; compilers choose what to recompute.
        saving = (
            self.with_cp and self.training and torch.is_grad_enabled()
            and not is_traced() and not is_transformed())
        for block in self:
            x = checkpointed(block, x) if saving else block(x)
        return x


def checkpointed(module: nn.Module, x: Tensor) -> Tensor:
    """Call ``module(x)`` without keeping its activations for backward.

    Backward runs the module once more. Batch norm must not count that second
    pass, or its running statistics would differ from those of plain training.
    """
    return checkpoint(
        module,
        x,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), _statistics_kept(module)))


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    # With momentum 0 the second pass leaves them as they are. It cannot leave
    # them out: it must save the same tensors for backward as the first.
    tracking = [(m, m.momentum, m.num_batches_tracked.clone())
                for m in module.modules() if isinstance(m, _BatchNorm)
                and m.training and m.num_batches_tracked is not None]
    for norm, _, _ in tracking:
        norm.momentum = 0.
    try:
        yield
    finally:
        for norm, momentum, batches in tracking:
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.copy_(batches)
