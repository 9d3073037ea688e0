"""Allow-list for weights-only unpickling of mmengine's checkpoints.

mmengine's checkpoints hold, beyond tensors and plain containers, the message
hub's HistoryBuffers, which are numpy arrays of numbers, and numpy scalars,
such as a best score. numpy does not guard against hostile pickles: with a
forged dtype it uses numbers as pointers to objects. So the stand-ins below
restore numbers and nothing else.
"""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

_KINDS = ('f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8',
          'b1')


class NumberType:
    """Dtype of numbers, such as 'f8', as a pickle describes it."""

    def __init__(self, kind: str, *_: bool) -> None:
        if kind not in _KINDS:
            raise UnpicklingError(f'Unsupported numpy dtype {kind!r:.20}')
        self.dtype = np.dtype(kind)

    def __setstate__(self, state: tuple) -> None:
        if state[1] not in ('<', '>', '|', '='):
            raise UnpicklingError('Unsupported numpy byte order')
        self.dtype = self.dtype.newbyteorder(state[1])


class NumberArray(np.ndarray):
    """Array of numbers from a pickle, pickled again as a plain array."""

    def __new__(cls, *args: Any) -> NumberArray:
        """Make an empty array, to be filled by :meth:`__setstate__`."""
        return super().__new__(cls, (0, ), 'b')

    def __setstate__(self, state: tuple) -> None:
        version, shape, number, fortran, data = state
        if not isinstance(number, NumberType) or not isinstance(data, bytes):
            raise UnpicklingError('Unsupported numpy array, not of numbers')
        super().__setstate__((version, shape, number.dtype, fortran, data))

    def __reduce__(self) -> str | tuple[Any, ...]:
        return self.view(np.ndarray).__reduce__()


class SavedHistory(HistoryBuffer):
    """HistoryBuffer from a pickle, pickled again as a plain one.

    mmengine's own would put what the file names as methods, such as ``min``,
    into its class, for the whole process.
    """

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name in ('_log_history', '_count_history', 'max_length'):
            setattr(self, name, state.get(name))

    def __reduce__(self) -> tuple[Any, ...]:
        return HistoryBuffer, (self._log_history, self._count_history,
                               self.max_length)


def restore_scalar(kind: NumberType, data: bytes) -> int | float | bool:
    """Stand in for numpy's ``scalar``."""
    if not isinstance(kind, NumberType) or not isinstance(data, bytes):
        raise UnpicklingError('Unsupported numpy scalar, not a number')
    return np.frombuffer(data, kind.dtype, count=1)[0].item()


def empty_bytes() -> bytes:
    """Stand in for ``bytes``, which pickles call for an empty string."""
    return b''


def history_buffer_method(owner: type, name: str) -> str:
    """Stand in for ``getattr``, by which HistoryBuffers name their methods.

    The real one would give a hostile file any attribute of any object.
    """
    if owner is not SavedHistory or name not in ('min', 'max', 'mean',
                                                 'current'):
        raise UnpicklingError('Unsupported use of getattr')
    return name


ALLOWED: tuple[Any, ...] = (
    (SavedHistory, 'mmengine.logging.history_buffer.HistoryBuffer'),
    SavedHistory, (history_buffer_method, 'builtins.getattr'),
    (NumberArray, 'numpy.ndarray'), NumberArray, (NumberType, 'numpy.dtype'),
    NumberType, (empty_bytes, 'builtins.bytes'),
    *((function, f'numpy.{package}.multiarray.{name}')
      for function, name in ((NumberArray, '_reconstruct'),
                             (restore_scalar, 'scalar'))
      for package in ('core', '_core')))  # of numpy 1, and of numpy 2


def allow_mmengine_checkpoints() -> None:
    """Let plain ``torch.load`` read mmengine's checkpoints; idempotent."""
    torch.serialization.add_safe_globals(list(ALLOWED))


@contextmanager
def restrict_safe_globals() -> Iterator[None]:
    """Allow only :data:`ALLOWED`, and no entries of others, within the block.

    For example, onedl-mmengine allows the real ``getattr``.
    """
    others = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    allow_mmengine_checkpoints()
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(others)
