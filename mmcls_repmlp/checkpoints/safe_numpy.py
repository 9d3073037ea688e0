"""Restore pickled numpy arrays of numbers without numpy's own functions.

A pickle may set every field of a numpy dtype. With the wrong ones numpy takes
numbers for the addresses of objects, so that a file could run code after all;
numpy says itself that it does not guard against hostile pickles. What mmengine
writes are plain numbers, and these stand-ins restore nothing else.
"""
from __future__ import annotations

from pickle import UnpicklingError
from typing import Any

import numpy as np

_KINDS = ('f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8',
          'b1')
_ORDERS = ('<', '>', '|', '=')


class NumberType:
    """A dtype of numbers, as a pickle describes it.

    Args:
        kind: Such as 'f8'.
        *options: How numpy aligns and copies it; not used.

    Raises:
        UnpicklingError: If it is no kind of number.
    """

    def __init__(self, kind: str, *options: bool) -> None:
        if kind not in _KINDS:
            raise UnpicklingError(f'Unsupported numpy dtype {kind!r:.20}')
        self.dtype = np.dtype(kind)

    def __setstate__(self, state: tuple) -> None:
        """Take the byte order, and nothing else, of what numpy wrote."""
        if state[1] not in _ORDERS:
            raise UnpicklingError('Unsupported numpy byte order')
        self.dtype = self.dtype.newbyteorder(state[1])


class NumberArray(np.ndarray):
    """An array that is restored; it is pickled as a plain one.

    It stands in for numpy's ``_reconstruct`` too.
    """

    def __new__(cls, *args: Any) -> NumberArray:
        """Make an empty array, to be filled by :meth:`__setstate__`."""
        return super().__new__(cls, (0, ), 'b')

    def __setstate__(self, state: tuple) -> None:
        """Take shape and numbers, if these belong together."""
        version, shape, number, fortran, data = state
        if not isinstance(number, NumberType) or not isinstance(data, bytes):
            raise UnpicklingError('Unsupported numpy array, of no numbers')
        super().__setstate__((version, shape, number.dtype, fortran, data))

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Write a plain array."""
        return self.view(np.ndarray).__reduce__()


def empty_bytes() -> bytes:
    """Stand in for ``bytes``, which protocol 2 calls for empty ones."""
    return b''


def restore_scalar(kind: NumberType, data: bytes) -> np.generic:
    """Stand in for numpy's ``scalar``."""
    if not isinstance(kind, NumberType) or not isinstance(data, bytes):
        raise UnpicklingError('Unsupported numpy scalar, which is no number')
    return np.frombuffer(data, kind.dtype, count=1)[0]
