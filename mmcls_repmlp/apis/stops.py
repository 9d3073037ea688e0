"""A job that somebody stops, or stops reading."""
from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class TerminatedError(KeyboardInterrupt):
    """The process was asked to end (SIGTERM); treated as Ctrl-C is."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn SIGTERM into an exception, and let a log be cut off.

    Not where several processes work together: one that waits for the others
    would not hear of it.
    """
    def stop(*_: object) -> None:
        raise TerminatedError

    alone = int(os.environ.get('WORLD_SIZE', 1)) == 1
    listens = alone and (
        threading.current_thread() is threading.main_thread())
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
    """Say whether nobody reads the output any more; if so, drop the rest."""
    try:
        sys.stdout.flush()
        return False
    except OSError as error:
        # It must not fail once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return True
        raise
