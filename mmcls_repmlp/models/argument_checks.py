"""Check the arguments that users give, and bring them into one form.

Config files turn tuples into lists, so sequences of either kind are taken.
What cannot be taken is a ValueError that names the argument, what it must be
and the value.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def positive_int(name: str, value: int) -> int:
    """Take a positive integer."""
    if type(value) is not int or value < 1:
        raise ValueError(f'{name} must be a positive integer, got {value!r}')
    return value


def positive_ints(name: str, values: Sequence[int]) -> tuple[int, ...]:
    """Take a list or tuple of positive integers."""
    if not _ints(values) or min(values, default=1) < 1:
        raise ValueError(f'{name} must hold positive integers in a list or '
                         f'tuple, got {values!r}')
    return tuple(values)


def int_pair(name: str, value: int | Sequence[int]) -> tuple[int, int]:
    """Take a positive integer, or two, as a pair of (height, width)."""
    pair = (value, value) if isinstance(value, int) else value
    if not _ints(pair) or len(pair) != 2 or min(pair) < 1:
        raise ValueError(f'{name} must be a positive integer or a pair of '
                         f'them, got {value!r}')
    height, width = pair
    return height, width


def conv_kernels(kernels: Sequence[int] | None) -> tuple[int, ...]:
    """Take sizes of local convolutions: different odd ones, or None."""
    given = () if kernels is None else kernels
    if not _ints(given) or any(k < 1 or k % 2 == 0
                               for k in given) or _repeats(given):
        raise ValueError('reparam_conv_kernels must be different odd positive '
                         f'integers, or None, got {kernels!r}')
    return tuple(given)


def stage_indices(indices: int | Sequence[int],
                  num_stages: int,
                  name: str = 'out_indices') -> tuple[int, ...]:
    """Take one stage or different ones, negative ones counted from the last.

    Returns:
        Stages from 0 on, in their order.
    """
    given = (indices, ) if isinstance(indices, int) else indices
    if not _ints(given) or not given or any(
            not -num_stages <= i < num_stages
            for i in given) or _repeats([i % num_stages for i in given]):
        raise ValueError(f'{name} must be different stages between '
                         f'{-num_stages} and {num_stages - 1}, got '
                         f'{indices!r}')
    return tuple(sorted(i % num_stages for i in given))


def output_stages(indices: int | Sequence[int] | None, num_stages: int,
                  usual: int) -> tuple[int, ...]:
    """Take the stages to return, as :func:`stage_indices`.

    Args:
        indices: The stages; None for ``usual``, or the last one if there are
            fewer.
        num_stages: How many there are.
        usual: The stage that is returned unless told.
    """
    if indices is None:
        return (min(usual, num_stages - 1), )
    return stage_indices(indices, num_stages)


def last_frozen_stage(stage: int, num_stages: int) -> int:
    """Take the last stage to freeze, -1 for none."""
    if type(stage) is not int or not -1 <= stage < num_stages:
        raise ValueError('frozen_stages must be between -1 and '
                         f'{num_stages - 1}, got {stage!r}')
    return stage


def drop_rate(rate: float) -> float:
    """Take the chance to drop a path, in [0, 1)."""
    if not 0 <= rate < 1:
        raise ValueError(f'drop_path_rate must be in [0, 1), got {rate!r}')
    return rate


def check_block_sizes(channels: int, path_h: int, path_w: int,
                      num_sharesets: int) -> None:
    """Check what the shapes of a RepMLP block follow from."""
    if min(path_h, path_w) < 1:
        raise ValueError('a partition has at least one position, got '
                         f'{path_h}x{path_w}')
    if num_sharesets < 1 or channels < 1 or channels % num_sharesets:
        raise ValueError(f'{num_sharesets} sharesets do not divide '
                         f'{channels} channels')


def check_grouped_block(in_channels: int, out_channels: int, num_groups: int,
                        globalperceptron_ratio: int) -> None:
    """Check what the shapes of the first paper's block follow from."""
    if min(in_channels, out_channels,
           num_groups) < 1 or (in_channels % num_groups
                               or out_channels % num_groups):
        raise ValueError(f'{num_groups} groups (num_groups) do not divide '
                         f'{in_channels} input and {out_channels} output '
                         'channels')
    if globalperceptron_ratio < 1:
        raise ValueError('globalperceptron_ratio must be at least 1, got '
                         f'{globalperceptron_ratio!r}')


def per_stage(name: str, value: int | Sequence[int],
              count: int) -> tuple[int, ...]:
    """Take a positive integer for all ``count`` stages, or one for each."""
    values = (value, ) * count if isinstance(value, int) else value
    if not _ints(values) or len(values) != count or min(values, default=1) < 1:
        raise ValueError(f'{name} must be a positive integer, or {count} of '
                         f'them, one for each stage, got {value!r}')
    return tuple(values)


def _ints(values: Any) -> bool:
    return isinstance(values, Sequence) and all(
        type(value) is int for value in values)


def _repeats(values: Sequence[int]) -> bool:
    return len(set(values)) < len(values)
