"""Timing of functions or models against each other on a noisy machine."""
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
    """Run functions in turn and yield the seconds of each, by round."""
    for index in range(-warm_up, rounds):
        seconds = tuple(map(_time, runs))
        if index >= 0:
            yield seconds


@torch.inference_mode()
def alternating_latency(first: nn.Module,
                        second: nn.Module,
                        batch: Tensor,
                        rounds: int = 30) -> tuple[list[float], list[float]]:
    """Return seconds of ``rounds`` forward passes of two models in turn."""
    a, b = zip(
        *alternate(lambda: first(batch), lambda: second(batch), rounds=rounds))
    return list(a), list(b)


def speedup(slow: list[float], fast: list[float]) -> float:
    """Return the median of the ratios of neighbouring passes."""
    return statistics.median(a / b for a, b in zip(slow, fast))


def _time(run: Callable[[], Any]) -> float:
    start = _now()
    run()
    return _now() - start


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
