"""Checks of constructor arguments, which return the value in one form.

Config files turn tuples into lists, so both are accepted. A wrong value raises
a ValueError that names the argument, the requirement and the value.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def check_positive_int(name: str, value: int) -> int:
    """Check a positive integer."""
    if not _are_positive([value]):
        raise ValueError(f'{name} must be a positive integer, got {value!r}')
    return value


def check_positive_ints(name: str, values: Sequence[int]) -> tuple[int, ...]:
    """Check a list or tuple of positive integers."""
    if not _are_positive(values) or not values:
        raise ValueError(f'{name} must hold positive integers in a list or '
                         f'tuple, got {values!r}')
    return tuple(values)


def check_pair(name: str, value: int | Sequence[int]) -> tuple[int, int]:
    """Return (height, width) from one positive integer or two."""
    height, width = check_per_stage(name, value, 2)
    return height, width


def check_strides(img_size: tuple[int, int], strides: Sequence[int]) -> None:
    """Check that the total strides divide the size of images."""
    if any(side % stride for side, stride in zip(img_size, strides)):
        near = (max(1, round(side / stride)) * stride
                for side, stride in zip(img_size, strides))
        raise ValueError(
            'img_size must be a multiple of the strides of all stages, '
            f'{_by(strides)}, got {_by(img_size)}: the nearest is {_by(near)}')


def check_kernels(kernels: Sequence[int] | None,
                  name: str = 'reparam_conv_kernels') -> tuple[int, ...]:
    """Return the sizes of local convolutions: distinct odd ones, or none."""
    given = () if kernels is None else kernels
    if not _are_positive(given) or not all(k % 2 for k in given) or len(
            set(given)) < len(given):
        raise ValueError(f'{name} must be different odd positive integers, or '
                         f'None, got {kernels!r}')
    return tuple(given)


def check_stages(name: str, indices: int | Sequence[int],
                 num_stages: int) -> tuple[int, ...]:
    """Return distinct stages in ascending order; negative ones count back."""
    given = (indices, ) if isinstance(indices, int) else indices
    if not given or not _are_ints(given) or not all(
            -num_stages <= i < num_stages
            for i in given) or len({i % num_stages
                                    for i in given}) < len(given):
        raise ValueError(f'{name} must be different stages between '
                         f'{-num_stages} and {num_stages - 1}, got '
                         f'{indices!r}')
    return tuple(sorted(i % num_stages for i in given))


def check_per_stage(name: str, value: int | Sequence[int],
                    count: int) -> tuple[int, ...]:
    """Return ``count`` positive integers from one or as many."""
    values = (value, ) * count if isinstance(value, int) else value
    if not _are_positive(values) or len(values) != count:
        raise ValueError(f'{name} must be a positive integer or {count} of '
                         f'them, got {value!r}')
    return tuple(values)


def check_drop_path_rate(rate: float) -> float:
    """Check a probability in [0, 1)."""
    if not 0 <= rate < 1:
        raise ValueError(f'drop_path_rate must be in [0, 1), got {rate!r}')
    return rate


def check_divisor(name: str, divisor: int, *channels: int) -> int:
    """Check that a positive integer divides numbers of channels."""
    if not _are_positive([divisor, *channels]) or any(count % divisor
                                                      for count in channels):
        counts = ' and '.join(map(str, channels))
        raise ValueError(f'{name} must divide {counts} channels, got '
                         f'{divisor!r}')
    return divisor


def _are_ints(values: Any) -> bool:
    return isinstance(values, Sequence) and all(
        type(value) is int for value in values)


def _are_positive(values: Any) -> bool:
    return _are_ints(values) and min(values, default=1) > 0


def _by(size: Iterable[int]) -> str:
    return 'x'.join(map(str, size))
