"""Time two models against each other on a machine that is never quiet."""
from __future__ import annotations

import statistics
import time

import torch
from torch import Tensor, nn


@torch.inference_mode()
def alternating_latency(first: nn.Module,
                        second: nn.Module,
                        batch: Tensor,
                        rounds: int = 30) -> tuple[list[float], list[float]]:
    """Time forward passes in turn, A B A B, so that both see the same noise.

    Args:
        first: Model A, in eval mode.
        second: Model B, in eval mode.
        batch: Input of both, on their device.
        rounds: How often each is timed, after a warm-up. Defaults to 30.

    Returns:
        Seconds of every pass of A, and of B.
    """
    times = ([], [])
    for round_ in range(-max(3, rounds // 10), rounds):
        for model, seconds in zip((first, second), times):
            _synchronize(batch)
            start = time.perf_counter()
            model(batch)
            _synchronize(batch)
            if round_ >= 0:
                seconds.append(time.perf_counter() - start)
    return times


def speedup(slow: list[float], fast: list[float]) -> float:
    """Median of the ratios of passes that ran next to each other."""
    return statistics.median(a / b for a, b in zip(slow, fast))


def _synchronize(batch: Tensor) -> None:
    if batch.is_cuda:
        torch.cuda.synchronize(batch.device)
