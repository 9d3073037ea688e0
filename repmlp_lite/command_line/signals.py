"""A job that somebody stops, or stops reading."""
from __future__ import annotations

import logging
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class TerminatedError(KeyboardInterrupt):
    """The process was asked to end (SIGTERM); treated as Ctrl-C is."""


def interrupt_cause(error: BaseException) -> KeyboardInterrupt | None:
    """Find the stop that an error was made of, if any.

    Some libraries catch whatever is raised in them and raise an error of
    their own: mmengine, while it writes down a config.
    """
    behind = error.__context__
    while behind is not None and not isinstance(behind, KeyboardInterrupt):
        behind = behind.__context__
    return behind


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn SIGTERM into an exception, and let a log be cut off.

    Not where several processes work together: one that waits for the others
    would not hear of it.
    """

    def stop(*_: object) -> None:
        raise TerminatedError

    alone = int(os.environ.get('WORLD_SIZE', 1)) == 1
    listens = alone and (threading.current_thread() is threading.main_thread())
    before = signal.signal(signal.SIGTERM, stop) if listens else None
    # Who reads the log may go (`| head`); a training goes on.
    loud, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    finally:
        logging.raiseExceptions = loud
        if listens:
            signal.signal(signal.SIGTERM, before)


def is_output_closed() -> bool:
    """Say whether nobody reads the output any more; if so, drop the rest.

    Raises:
        OSError: If it cannot be written for another reason.
    """
    try:
        sys.stdout.flush()
        closed = _has_no_reader(sys.stdout)
    except BrokenPipeError:
        closed = True
    except OSError:
        _drop(sys.stdout)
        raise
    if closed:
        _drop(sys.stdout)
    return closed


def _has_no_reader(output: TextIO) -> bool:
    # What could not be written may be gone already, so that nothing fails.
    try:
        poll = select.poll()
        poll.register(output.fileno(), select.POLLOUT)
    except (AttributeError, OSError):  # no such call, or no real output
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _drop(output: TextIO) -> None:
    # It must not fail once more when the interpreter ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())
