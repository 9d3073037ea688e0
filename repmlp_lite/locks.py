"""Locks on files, which end with their process at the latest."""
from __future__ import annotations

import fcntl
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from .console import warn

_INTERVAL = 0.05  # seconds between two attempts


@contextmanager
def lock(path: str | Path,
         patience: float = math.inf,
         create: bool = True) -> Iterator[bool]:
    """Keep other processes and threads out of a block by a lock on a path.

    Args:
        path: File, which stays, or folder.
        patience: Seconds to wait for others. Defaults to infinity.
        create: Whether to make a missing file. Defaults to True.

    Yields:
        False on a file system without locks: nobody is kept out there, which
        is said once.

    Raises:
        TimeoutError: If others hold the lock for longer.
        OSError: If the path cannot be opened.
    """
    descriptor, locked = _wait(path, patience, create)
    try:
        yield locked
    finally:
        if locked:  # processes forked meanwhile would keep it
            fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _wait(path: str | Path, patience: float, create: bool) -> tuple[int, bool]:
    flags = os.O_RDWR | os.O_CREAT * create
    deadline = time.monotonic() + patience
    while True:
        descriptor = os.open(path,
                             os.O_RDONLY if os.path.isdir(path) else flags,
                             0o666)
        locked = _try_to_lock(descriptor, path)
        if locked is not False:
            return descriptor, bool(locked)
        os.close(descriptor)
        if time.monotonic() >= deadline:
            raise TimeoutError(f'{str(path)!r} is locked')
        time.sleep(_INTERVAL)


def _try_to_lock(descriptor: int, path: str | Path) -> bool | None:
    """Lock an open file; False if it is held or gone, None without locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (OSError, NotImplementedError) as error:
        _warn_once(getattr(error, 'strerror', None) or 'not implemented')
        return None
    try:  # its last holder may have removed it
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


@cache
def _warn_once(reason: str) -> None:
    warn(f'the file system has no locks ({reason}), so commands that use one '
         'folder at the same time may disturb each other: run them one after '
         'the other')
