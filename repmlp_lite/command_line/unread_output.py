"""Output that nobody reads."""
from __future__ import annotations

import os
import select
import sys
from contextlib import suppress


def discard_unread_output() -> bool:
    """Return whether nobody reads stdout; if so, drop the rest of it."""
    closed = True
    try:
        with suppress(BrokenPipeError):
            sys.stdout.flush()
            closed = _has_no_reader()
    finally:
        if closed:  # it must not fail again when the interpreter ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return closed


def _has_no_reader() -> bool:
    # Output that could not be written may be gone, so that nothing fails.
    with suppress(AttributeError, OSError):  # no such call, or no real output
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLOUT)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    return False
