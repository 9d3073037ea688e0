"""Learning rate of RepMLPNet's official training."""
from __future__ import annotations

import math
from typing import Any

from mmengine.optim.scheduler import _ParamScheduler
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin

from mmcls_repmlp.host import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(LRSchedulerMixin, _ParamScheduler):
    """Linear warm-up that covers the beginning of a cosine to zero.

    The cosine counts from the first step, not from the end of the warm-up,
    which mmengine's LinearLR and CosineAnnealingLR cannot do together. The
    rate is one step late, as in the official loop, which sets it after a step
    by that step's own number.

    Source: github.com/DingXiaoH/RepMLP at 3eff13f, lr_scheduler.py and
    main_repmlp.py; timm's CosineLRScheduler without ``warmup_prefix``.

    Args:
        optimizer: The optimizer or its wrapper.
        end: Steps of the training run; a runner fills it in.
        start_factor: First rate, as a part of the full one.
        warmup: Steps of the warm-up; a shorter training run is all warm-up.
        warmup_ratio: The same as a part of ``end``, in place of ``warmup``.
        **kwargs: ``last_step``, ``by_epoch`` and ``verbose``, as of mmengine's
            schedulers. With ``convert_to_iter_based=True`` in a config,
            numbers are given in epochs and steps are iterations.

    Raises:
        ValueError: If ``warmup`` is negative, ``start_factor`` is not in
            [0, 1], or not exactly one of ``warmup`` and ``warmup_ratio`` is
            given.
    """

    def __init__(self,
                 optimizer: Any,
                 *,
                 end: int,
                 start_factor: float,
                 warmup: float | None = None,
                 warmup_ratio: float | None = None,
                 **kwargs: Any) -> None:
        if (warmup is None) is (warmup_ratio is None):
            raise ValueError('give either warmup or warmup_ratio')
        self.warmup = (warmup_ratio or 0) * end if warmup is None else warmup
        self.start_factor = start_factor
        if not self.warmup >= 0 or not 0 <= start_factor <= 1:
            raise ValueError(
                'warmup must be 0 or more and start_factor in [0, 1], but '
                f'they are {self.warmup} and {start_factor}')
        super().__init__(optimizer, end=end, **kwargs)

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
        """Compute the rate at a step as a part of the full one."""
        step = max(step - 1, 0)
        if step < self.warmup:
            rise = (1 - self.start_factor) / self.warmup
            return self.start_factor + rise * step
        return (1 + math.cos(math.pi * step / self.end)) / 2

    def _get_value(self) -> list[float]:
        factor = self.factor(self.last_step)
        return [base * factor for base in self.base_values]
