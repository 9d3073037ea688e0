"""Let weights-only unpickling read what mmengine writes, and nothing more."""
from __future__ import annotations

from collections.abc import Callable
from pickle import UnpicklingError

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

try:
    from numpy._core import multiarray
except ImportError:  # numpy 1
    from numpy.core import multiarray

# All that mmengine's checkpoints hold beyond tensors and plain containers: the
# message hub's HistoryBuffers, which are numpy arrays of numbers, and numpy
# numbers, such as a best score. None of these runs code when it is rebuilt.
# Both module names of numpy's functions occur, old and new, in files.
_REBUILDERS = [
    (function, f'numpy.{package}.multiarray.{function.__name__}')
    for function in (multiarray._reconstruct, multiarray.scalar)
    for package in ('core', '_core')
]
_NUMBER_DTYPES = [type(np.dtype(kind)) for kind in (
    'f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', '?')]


_STATISTICS = ('min', 'max', 'mean', 'current')


def _history_buffer_method(owner: type, name: str) -> Callable:
    """Stand in for ``getattr``, which pickled HistoryBuffers call.

    They name their own methods that way. The real getattr would hand a
    hostile file any attribute of anything.
    """
    if owner is not HistoryBuffer or name not in _STATISTICS:
        raise UnpicklingError('Unsupported use of getattr: only the '
                              f'statistics {_STATISTICS} of HistoryBuffer '
                              'can be asked for')
    return getattr(HistoryBuffer, name)


def allow_mmengine_checkpoints() -> None:
    """Add these classes to torch's allow-list; a second call does nothing."""
    torch.serialization.add_safe_globals(
        [HistoryBuffer, (_history_buffer_method, 'builtins.getattr'),
         np.ndarray, np.dtype, *_REBUILDERS, *_NUMBER_DTYPES])
