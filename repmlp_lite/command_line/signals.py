"""Jobs that are stopped, or whose output nobody reads."""
from __future__ import annotations

import logging
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class TerminatedError(KeyboardInterrupt):
    """The process was asked to end (SIGTERM); treated as Ctrl-C is."""


def interrupt_cause(error: BaseException) -> KeyboardInterrupt | None:
    """Find the interrupt that a library, as mmengine, made an error of."""
    cause = error.__context__
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__context__
    return cause


@contextmanager
def convert_sigterm() -> Iterator[None]:
    """Turn SIGTERM into an exception, and let the reader of a log go away.

    One of several processes, which waits for the others, is left alone.
    """

    def stop(*_: object) -> None:
        raise TerminatedError

    alone = int(os.environ.get('WORLD_SIZE', 1)) == 1
    listens = alone and threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, stop) if listens else None
    # A training run goes on when its log cannot be printed (`| head`).
    raises, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = raises
        if listens:
            signal.signal(signal.SIGTERM, before)


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
