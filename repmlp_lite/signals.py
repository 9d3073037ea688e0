"""Stops by a signal, obeyed with one sentence from a tool's first line on."""
from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

# A file that tools/launchers/torchrun.py names: for the one line of several
# processes that it prints.
LAST_LINE = 'MMCLS_REPMLP_LAST_LINE'
_STOPS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_PAUSE = 0.05  # seconds until a stop that came at a bad moment comes again


class _State:
    process = os.getpid()
    number = 0  # of the signal that stopped the job
    told = False  # whether the last sentence is out


def exit_on_stop() -> None:
    """From now on, end the process at once when a signal stops it.

    Tools call it first. Raised during imports, an exception could be swallowed
    or leave modules half imported; nothing is lost yet, or any more.
    """
    for number in _accepted_stops():
        signal.signal(number, _exit)


@contextmanager
def raise_stops() -> Iterator[None]:
    """Raise KeyboardInterrupt in a block when a signal stops it.

    At the next one the process ends at once. One of several processes, which
    waits for the others, is left alone; so is a signal that is ignored.
    """
    alone = int(os.environ.get('WORLD_SIZE', 1)) == 1
    if not alone or threading.current_thread() is not threading.main_thread():
        yield
        return
    _State.process, _State.number, _State.told = os.getpid(), 0, False
    before = {
        number: signal.signal(number, _raise)
        for number in _accepted_stops()
    }
    try:
        yield
        if _State.number:
            raise KeyboardInterrupt  # a library has swallowed the first
    finally:
        if _State.number:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code() -> int:
    """Return the exit code of a job that was stopped."""
    number, _State.number = _State.number or signal.SIGINT, 0
    return 128 + number


def interrupt_cause(error: BaseException) -> KeyboardInterrupt | None:
    """Find the interrupt that a library, as mmengine, made an error of."""
    cause = error.__context__
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__context__
    return cause or (KeyboardInterrupt() if _State.number else None)


def leave_last_line(line: str) -> bool:
    """Hand a process's last line to its launcher; False if it has none.

    The launcher prints the first of its processes' lines.
    """
    _State.told = True
    path = os.environ.get(LAST_LINE)
    if path:
        with suppress(OSError), open(path, 'x', encoding='utf-8') as file:
            file.write(line)
    return bool(path)


def _accepted_stops() -> list[int]:
    return [
        number for number in _STOPS
        if signal.getsignal(number) not in (signal.SIG_IGN, None)
    ]


def _exit(number: int, _: FrameType | None) -> None:
    if os.getpid() == _State.process and not _State.told:
        line = f'{os.path.basename(sys.argv[0])}: stopped'
        if not leave_last_line(line) and 'WORLD_SIZE' not in os.environ:
            with suppress(OSError):
                os.write(2, f'{line}\n'.encode())
    os._exit(128 + number)


def _raise(number: int, frame: FrameType | None) -> None:
    is_new = number != signal.SIGALRM
    if os.getpid() != _State.process or (is_new and _State.number):
        _exit(number, frame)  # a worker, or the second stop
    if is_new:
        _State.number = number
        # Workers end, too: torch would raise an error.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if _swallows(frame):
        signal.signal(signal.SIGALRM, _raise)
        signal.setitimer(signal.ITIMER_REAL, _PAUSE)
        return
    raise KeyboardInterrupt


def _swallows(frame: FrameType | None) -> bool:
    """Return whether an exception may be swallowed, or do harm, here."""
    while frame is not None:
        code = frame.f_code
        if (code.co_filename.startswith('<frozen importlib')
                or code.co_name == '__del__'):
            return True
        frame = frame.f_back
    return False
