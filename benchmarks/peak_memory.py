"""Peak memory of a function."""
from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

_STATUS = Path('/proc/self/status')
_RESET = Path('/proc/self/clear_refs')


def peak_memory(run: Callable[[], Any]) -> int | None:
    """Measure the peak memory of a function, beyond what is held before it.

    Args:
        run: The function, already warmed up.

    Returns:
        Bytes of this process; None where the system does not report them
        (Linux does).
    """
    _return_free_memory()
    try:
        _RESET.write_text('5')  # resets the peak
        before = _read('VmRSS')
        run()
        return max(0, _read('VmHWM') - before)
    except OSError:
        return None


def _return_free_memory() -> None:
    # Memory that malloc has kept would be reused without being counted.
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(0)


def _read(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines()
                if line.startswith(f'{name}:'))
    return int(line.split()[1]) * 1024
