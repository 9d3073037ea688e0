"""Let weights-only unpickling read what mmengine writes, and nothing more."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pickle import UnpicklingError

import torch
from mmengine.logging import HistoryBuffer

from .safe_numpy import NumberArray, NumberType, empty_bytes, restore_scalar

# All that mmengine's checkpoints hold beyond tensors and plain containers: the
# message hub's HistoryBuffers, which are numpy arrays of numbers, and numpy
# numbers, such as a best score. None of these runs code when it is rebuilt.
# Both module names of numpy's functions occur, old and new, in files.
_NUMPY = [(NumberArray, 'numpy.ndarray'), NumberArray,
          (NumberType, 'numpy.dtype'), NumberType,
          (empty_bytes, 'builtins.bytes'),
          *((function, f'numpy.{package}.multiarray.{name}')
            for function, name in ((NumberArray, '_reconstruct'),
                                   (restore_scalar, 'scalar'))
            for package in ('core', '_core'))]
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


ALLOWED = (HistoryBuffer, (_history_buffer_method, 'builtins.getattr'),
           *_NUMPY)


def allow_mmengine_checkpoints() -> None:
    """Add these to torch's allow-list; a second call does nothing.

    So that ``torch.load(FILE)`` reads mmengine's checkpoints, wherever it is
    called.
    """
    torch.serialization.add_safe_globals(list(ALLOWED))


@contextmanager
def only_what_mmengine_writes() -> Iterator[None]:
    """Allow these and nothing that others added, while the block runs.

    Others may have allowed more than is safe, such as the real ``getattr``
    that onedl-mmengine needs, or have taken these away again.
    """
    others = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    allow_mmengine_checkpoints()
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(others)
