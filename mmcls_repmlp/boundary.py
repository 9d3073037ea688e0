"""Where errors become a sentence and an exit code; nothing heavy is needed."""
from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress

from mmcls_repmlp.errors import JobFailedError, UserError

DONE, FAILURE, USER_ERROR, INTERRUPTED = 0, 1, 2, 130
_LONGEST = 300


def outcome(name: str, job: Callable[[], object]) -> int:
    """Run a job; whatever happens is one sentence on stderr.

    Args:
        name: The tool's name.
        job: The work.

    Returns:
        0 when done, 2 if the user must change something, 1 on failure, 130
        after Ctrl-C.
    """
    try:
        job()
    except KeyboardInterrupt:
        _say(name, 'stopped')
        return INTERRUPTED
    except UserError as error:
        _say(name, f'error: {error}')
        return USER_ERROR
    except JobFailedError as error:
        _say(name, f'error: {error}')
        return FAILURE
    except Exception as error:
        text = f'{type(error).__name__}: {error}'.rstrip(': ')
        _say(name, f'error: {text[:_LONGEST]}')
        return FAILURE
    return DONE


def _say(name: str, message: str) -> None:
    with suppress(OSError):
        print(f'{name}: {" ".join(message.split())}', file=sys.stderr)
