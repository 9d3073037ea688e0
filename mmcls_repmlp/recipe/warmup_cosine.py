"""The learning rate of RepMLPNet's official training."""
from __future__ import annotations

import math
from typing import Any

from mmengine.optim.scheduler import _ParamScheduler
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin

from mmcls_repmlp.host import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(LRSchedulerMixin, _ParamScheduler):
    """Linear warm-up that covers the beginning of a cosine to zero.

    The cosine counts from the first step, not from the end of the warm-up, so
    that the rate falls by 2.4 % of its peak where a warm-up of a tenth of the
    training ends. mmengine's LinearLR and CosineAnnealingLR cannot overlap:
    both multiply what the other leaves.

    The official loop sets the rate after a step, by that step's own number,
    so that it is one step late; so it is here.

    Source: github.com/DingXiaoH/RepMLP at 3eff13f, lr_scheduler.py and
    main_repmlp.py; timm's CosineLRScheduler without ``warmup_prefix``.

    Args:
        optimizer: The optimizer or its wrapper.
        end: Steps of the training; a runner fills it in.
        warmup: Steps of the warm-up; a shorter training is all warm-up.
            Defaults to None: ``warmup_ratio`` says it.
        warmup_ratio: Part of the training that is warm-up, in [0, 1].
            Defaults to None: ``warmup`` says it.
        start_factor: The first rate as a part of the full one.
        last_step: Step to go on from. Defaults to -1, the beginning.
        by_epoch: Whether a step is an epoch. Defaults to True; with
            ``convert_to_iter_based=True`` in a config, numbers are given in
            epochs and steps are iterations.
        verbose: Whether to print every rate. Defaults to False.

    Raises:
        ValueError: If ``warmup`` is negative, ``start_factor`` is not in
            [0, 1], or not just one of ``warmup`` and ``warmup_ratio`` is
            given.
    """

    def __init__(self,
                 optimizer: Any,
                 *,
                 end: int,
                 start_factor: float,
                 warmup: float | None = None,
                 warmup_ratio: float | None = None,
                 last_step: int = -1,
                 by_epoch: bool = True,
                 verbose: bool = False) -> None:
        warmup = _steps(warmup, warmup_ratio, end)
        if not 0 <= start_factor <= 1:
            raise ValueError('start_factor must be in [0, 1], but is '
                             f'{start_factor}')
        self.warmup = warmup
        self.start_factor = start_factor
        super().__init__(
            optimizer,
            end=end,
            last_step=last_step,
            by_epoch=by_epoch,
            verbose=verbose)

    @classmethod
    def build_iter_from_epoch(cls,
                              *args: Any,
                              end: int,
                              epoch_length: int,
                              warmup: float | None = None,
                              by_epoch: bool = True,
                              **kwargs: Any) -> WarmupCosineLR:
        """Build it for iterations from numbers of epochs."""
        return cls(
            *args,
            end=end * epoch_length,
            warmup=None if warmup is None else warmup * epoch_length,
            by_epoch=False,
            **kwargs)

    def factor(self, step: int) -> float:
        """The rate at a step as a part of the full one."""
        step = max(step - 1, 0)
        if step < self.warmup:
            done = step / self.warmup
            return self.start_factor + (1 - self.start_factor) * done
        return (1 + math.cos(math.pi * step / self.end)) / 2

    def _get_value(self) -> list[float]:
        factor = self.factor(self.last_step)
        return [base * factor for base in self.base_values]


def _steps(warmup: float | None, ratio: float | None, end: int) -> float:
    if (warmup is None) is (ratio is None):
        raise ValueError('give either warmup or warmup_ratio, not '
                         f'{"neither" if warmup is None else "both"}')
    if ratio is not None and not 0 <= ratio <= 1:
        raise ValueError(f'warmup_ratio must be in [0, 1], but is {ratio}')
    steps = warmup if ratio is None else ratio * end
    if steps is None or steps < 0:
        raise ValueError(f'warmup must be 0 or more, but is {steps}')
    return steps
