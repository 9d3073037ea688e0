"""Hook that ends a training run whose loss is NaN or infinite."""
from __future__ import annotations

import math
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper
from mmengine.runner import Runner

from mmcls_repmlp.host import HOOKS
from repmlp_lite.errors import JobFailedError

_NEVER = 2**62


@HOOKS.register_module()
class CheckInvalidLossHook(Hook):
    """End a training run whose loss is NaN or infinite, with a remedy.

    A single process ends at once. Several agree every ``interval`` iterations
    and at the end of an epoch, so that all end together. The loss is read from
    the log, as a number, which waits for no device.

    Args:
        interval: Iterations after which several processes agree. Defaults
            to 50.
        patience: Iterations in a row without a valid loss that are endured
            where the loss is scaled for mixed precision: 16 halvings take
            PyTorch's first scale to 1. Defaults to 20.
    """

    priority = 'HIGH'

    def __init__(self, interval: int = 50, patience: int = 20) -> None:
        self.interval = interval
        self.patience = patience
        self.first = _NEVER  # iteration from which the loss is invalid

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Any = None,
                         outputs: dict[str, Any] | None = None) -> None:
        """Check the losses of an iteration."""
        hub = runner.message_hub
        valid = all(
            math.isfinite(hub.get_scalar(f'train/{name}').current())
            for name in outputs or () if 'loss' in name)
        now = runner.iter + 1
        if not valid:
            self.first = min(self.first, now)
        elif self._endures(runner):
            self.first = _NEVER
        if get_world_size() == 1 or self.every_n_train_iters(
                runner, self.interval):
            self._judge(runner, now)

    def after_train_epoch(self, runner: Runner) -> None:
        """Check once more before the epoch is validated and saved."""
        self._judge(runner, runner.iter)

    def _judge(self, runner: Runner, now: int) -> None:
        first = torch.tensor(self.first)
        all_reduce(first, 'min')
        endured = self.patience if self._endures(runner) else 0
        if now - int(first) >= endured:
            raise JobFailedError(
                f'the loss is NaN or infinite since iteration {int(first)}: '
                'train with a lower learning rate '
                '(optim_wrapper.optimizer.lr) or with gradient clipping '
                '(optim_wrapper.clip_grad)')

    def _endures(self, runner: Runner) -> bool:
        wrapper = runner.optim_wrapper
        return isinstance(
            wrapper, AmpOptimWrapper) and wrapper.loss_scaler.is_enabled()
