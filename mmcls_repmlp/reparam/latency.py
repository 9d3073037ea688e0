"""Time two things against each other on a machine that is never quiet."""
from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn


def alternate(*runs: Callable[[], Any],
              rounds: int,
              warm_up: int = 3) -> Iterator[tuple[float, ...]]:
    """Run functions in turn, A B A B, so that all see the same noise.

    Args:
        *runs: The functions.
        rounds: How often each is timed.
        warm_up: Rounds that come first and are not timed. Defaults to 3.

    Yields:
        Seconds of each, round by round.
    """
    for round_ in range(-warm_up, rounds):
        seconds = tuple(map(_seconds, runs))
        if round_ >= 0:
            yield seconds


@torch.inference_mode()
def alternating_latency(first: nn.Module,
                        second: nn.Module,
                        batch: Tensor,
                        rounds: int = 30) -> tuple[list[float], list[float]]:
    """Time forward passes of two models in turn.

    Args:
        first: Model A, in eval mode.
        second: Model B, in eval mode.
        batch: Input of both, on their device.
        rounds: How often each is timed, after a warm-up. Defaults to 30.

    Returns:
        Seconds of every pass of A, and of B.
    """
    timed = alternate(
        lambda: first(batch), lambda: second(batch), rounds=rounds)
    a, b = zip(*timed)
    return list(a), list(b)


def speedup(slow: list[float], fast: list[float]) -> float:
    """Median of the ratios of passes that ran next to each other."""
    return statistics.median(a / b for a, b in zip(slow, fast))


def _seconds(run: Callable[[], Any]) -> float:
    _synchronize()
    start = time.perf_counter()
    run()
    _synchronize()
    return time.perf_counter() - start


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
