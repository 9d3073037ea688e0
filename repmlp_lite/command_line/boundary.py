"""Where errors become a sentence and an exit code; nothing heavy is needed."""
from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress

from repmlp_lite import console
from repmlp_lite.errors import JobFailedError, UserError, shorten, with_flags

from .failures import LONGEST
from .signals import (TerminatedError, interrupt_cause, is_output_closed,
                      stoppable)

DONE, FAILURE, USER_ERROR = 0, 1, 2
# As shells count: 128 and the number of the signal.
INTERRUPTED, PIPE_CLOSED, TERMINATED = 130, 141, 143


def plainly(error: Exception, name: str) -> str:
    """Say in a line what a failure is about, and keep nothing of it."""
    if isinstance(error, JobFailedError):
        return str(error)
    said = f'{type(error).__name__}: {error}'.rstrip(': ')
    return shorten(said, LONGEST)


def outcome(name: str,
            job: Callable[[], object],
            describe: Callable[[Exception, str], str] = plainly) -> int:
    """Run a job; whatever happens is one sentence on stderr.

    Args:
        name: The tool's name.
        job: The work; may raise UserError or JobFailedError with a message
            for the user, and KeyboardInterrupt with what was saved.
        describe: Words a failure, given the tool's name. Defaults to
            :func:`plainly`.

    Returns:
        0 when done, 2 if the user must change something, 1 on failure, 130
        after Ctrl-C, 143 after SIGTERM, 141 if nobody reads the output any
        more.
    """
    # Libraries write to the screen what is wrong with an image: the sentence
    # says so, and names it.
    os.environ.setdefault('OPENCV_LOG_LEVEL', 'SILENT')
    with stoppable():
        return _outcome(name, job, describe)


def _outcome(name: str, job: Callable[[], object],
             describe: Callable[[Exception, str], str]) -> int:
    try:
        job()
        is_output_closed()  # all is done, read or not
    except KeyboardInterrupt as stop:
        return _stopped(name, stop)
    except Exception as error:
        hidden = interrupt_cause(error)
        if hidden is not None:
            return _stopped(name, hidden)
        if isinstance(error, UserError):
            _say(name, f'error: {error}')
            return USER_ERROR
        if isinstance(error, BrokenPipeError) and is_output_closed():
            return PIPE_CLOSED
        _say(name, f'error: {describe(error, name)}')
        return FAILURE
    return DONE


def _stopped(name: str, stop: KeyboardInterrupt) -> int:
    _say(name, f'stopped: {stop}' if str(stop) else 'stopped')
    return TERMINATED if isinstance(stop, TerminatedError) else INTERRUPTED


def _say(name: str, message: str) -> None:
    console.close_all()  # a bar would be drawn over it
    with suppress(OSError):
        print(
            f'{name}: {" ".join(with_flags(message).split())}',
            file=sys.stderr)
