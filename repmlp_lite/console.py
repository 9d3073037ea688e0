"""The screen: what jobs say, the warnings of a log, and progress.

Jobs report by :func:`say` and :func:`warn` alone. What they say also stands in
the log of their run, once :func:`attach_log` has been called.
"""
from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from typing import Any, TextIO, TypeVar

from .errors import printable

_T = TypeVar('_T')
# Seconds between two lines of progress off a terminal: often enough for
# someone who waits, and rare enough for a log.
PERIOD = 45.
_active: list[Progress] = []  # the innermost is the last one
_files: list[logging.FileHandler] = []  # of the attached log
_unlogged: deque[str] = deque(maxlen=20)  # said before a log was attached


class Progress(AbstractContextManager):
    """Progress of a job on stderr, shown by the first of its processes only.

    On a terminal it is a bar, elsewhere a line whenever 45 seconds have passed
    without any line.

    Args:
        what: The job, such as 'testing'.
        total: Number of its steps. Defaults to None: unknown.
        unit: Unit of the speed. Defaults to 'images'.
        done: Steps of an earlier run. Defaults to 0.
    """

    def __init__(self,
                 what: str,
                 total: int | None = None,
                 unit: str = 'images',
                 done: int = 0) -> None:
        self.what, self.total, self.unit = what, total, unit
        self.steps = self.done = done
        self.items, self.note = 0, ''
        self.start = self.last_line = time.monotonic()
        self.bar: Any = None
        self.over = threading.Event()
        if not _is_first_process():
            return
        self.bar = None if _active else _new_bar(self)
        _active.append(self)
        if self.bar is None:
            threading.Thread(target=self._write_lines, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def advance(self, items: int = 1, note: str = '') -> None:
        """Count a step and its items, and set the note that is shown."""
        self.steps += 1
        self.items += items
        self.note = note
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=self.steps)

    def is_due(self) -> bool:
        """Return whether the last line is so old that another should come."""
        return time.monotonic() - self.last_line >= PERIOD

    def close(self) -> None:
        """Stop showing; closing twice does no harm."""
        self.over.set()
        if self in _active:
            _active.remove(self)
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def __str__(self) -> str:
        """Describe steps, speed, note and remaining time."""
        seconds, made = time.monotonic() - self.start, self.steps - self.done
        parts = [f'{self.steps}/{self.total}'] if self.total else []
        if self.items:
            speed = self.items / max(seconds, 1e-9)
            parts.append(f'{speed:.3g} {self.unit}/s')
        parts += [self.note] * bool(self.note)
        pattern = 'for {}'
        if self.total and made:
            seconds *= (self.total - self.steps) / made
            pattern = '{} left'
        parts.append(pattern.format(timedelta(seconds=round(seconds))))
        return printable(', '.join(parts))

    def _write_lines(self) -> None:
        # In a thread, so that lines come during a long step, too.
        while not self.over.wait(self.last_line + PERIOD - time.monotonic()):
            if self.is_due():
                with suppress(ValueError):  # stderr was closed
                    _write(f'{self.what}: {self}', sys.stderr)


def track(things: Iterable[_T],
          what: str,
          total: int | None = None,
          size: Callable[[_T], int] | None = None,
          unit: str = 'images') -> Iterator[_T]:
    """Iterate over things of a size, and show the :class:`Progress`."""
    with Progress(what, total, unit) as progress:
        for thing in things:
            yield thing
            progress.advance(1 if size is None else size(thing))


def say(*lines: str) -> None:
    """Write lines to stdout, above a progress bar, and to the run's log.

    Only the first process does. A reader that went away ends no job. Line
    breaks and what else could control a terminal are replaced.
    """
    _report(lines, sys.stdout)


def warn(*lines: str) -> None:
    """Write to stderr, otherwise as :func:`say` does."""
    _report(lines, sys.stderr)


def attach_log(logger: logging.Logger, verbose: bool) -> None:
    """Make a logger the log of the run.

    Its file receives what jobs say and have said already. The screen shows
    its warnings and errors or, with ``verbose``, all its records in full.
    """
    _files.clear()
    logger.addFilter(_make_printable)
    for i, handler in enumerate(logger.handlers):
        if isinstance(handler, logging.FileHandler):
            _files.append(handler)
        else:
            logger.handlers[i] = _ScreenHandler(handler, verbose)
    for _ in range(len(_unlogged)):
        _log(_unlogged.popleft())


def close_all() -> None:
    """Stop showing progress, and detach the log."""
    for progress in [*_active]:
        progress.close()
    _files.clear()
    _unlogged.clear()


class _ScreenHandler(logging.Handler):
    """Handler that decides which records of a log the screen shows."""

    def __init__(self, replaced: logging.Handler, verbose: bool) -> None:
        super().__init__(replaced.level)
        self.filters, self.formatter = replaced.filters, replaced.formatter
        self.verbose = verbose

    def emit(self, record: logging.LogRecord) -> None:
        if self.verbose:
            _write(self.format(record), sys.stdout)
        elif record.levelno >= logging.WARNING:
            level = record.levelname.lower()
            _write(printable(f'{level}: {record.getMessage()}'), sys.stderr)


def _make_printable(record: logging.LogRecord) -> bool:
    record.msg, record.args = printable(record.getMessage(), '\n'), None
    return True


def _report(lines: Iterable[str], stream: TextIO) -> None:
    text = '\n'.join(map(printable, lines))
    if text and _is_first_process():
        _write(text, stream)
        _log(text)


def _log(text: str) -> None:
    record = logging.LogRecord('mmcls_repmlp', logging.INFO, __file__, 0, text,
                               None, None)
    for handler in _files:
        handler.handle(record)
    if not _files:
        _unlogged.append(text)


def _write(text: str, stream: TextIO) -> None:
    bar = _active[0].bar if _active else None
    for progress in _active:
        progress.last_line = time.monotonic()
    with suppress(OSError):
        if bar is not None and stream.isatty():
            bar.console.print(
                text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=stream, flush=True)


def _is_first_process() -> bool:
    dist: Any = sys.modules.get('torch.distributed')
    return (dist is None or not dist.is_available()
            or not dist.is_initialized() or dist.get_rank() == 0)


def _new_bar(progress: Progress) -> Any:
    """Make a bar of rich; None if stderr is no terminal that can redraw."""
    dumb = os.environ.get('TERM', '').lower() in ('dumb', 'unknown')
    if dumb or not sys.stderr.isatty():
        return None
    import rich.console
    import rich.progress

    # Nothing is redirected: a process forked meanwhile must not wait for it.
    bar = rich.progress.Progress(
        '{task.description}',
        rich.progress.BarColumn(20),
        rich.progress.TextColumn('{task.fields[progress]}', markup=False),
        console=rich.console.Console(file=sys.stderr),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        refresh_per_second=4)
    bar.add_task(
        progress.what,
        total=progress.total,
        completed=progress.done,
        progress=progress)
    bar.start()
    return bar
