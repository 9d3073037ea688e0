"""How far a job is: a bar on a terminal, elsewhere a line now and then.

Programs without the host use this too, so that nothing heavy is imported.
"""
from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any, TextIO, TypeVar

_T = TypeVar('_T')
# Between two lines; who waits should hear something every minute, and a log
# should not fill up.
PERIOD = 45.
_active: list[Progress] = []  # the innermost is the last one


class Progress:
    """Show how far a job is, on stderr.

    On a terminal as a bar, elsewhere as a line whenever 45 seconds have passed
    without one; only by the first of several processes.

    Args:
        what: The job, such as 'testing'.
        total: Its steps. Defaults to None: nobody knows.
        unit: What the speed is counted in. Defaults to 'images'.
    """

    def __init__(self,
                 what: str,
                 total: int | None = None,
                 unit: str = 'images') -> None:
        self.what, self.total, self.unit = what, total, unit
        self.steps = self.before = self.items = 0
        self.note = ''
        self.start = self.heard = time.monotonic()
        self.bar: Any = None
        self.task: Any = None
        self.over = threading.Event()
        if _is_first():
            self._show()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self, steps: int) -> None:
        """Count steps that were made before, by an earlier run."""
        self.steps = self.before = steps

    def advance(self, items: int = 1, note: str = '') -> None:
        """Count a step, and what it dealt with, by default one thing.

        ``note``, such as a loss, is shown from now on; by default nothing.
        """
        self.steps += 1
        self.items += items
        self.note = note
        if self.bar is not None:
            self.bar.update(self.task, completed=self.steps)

    def is_due(self) -> bool:
        """Whether nothing was heard for so long that a line should come."""
        return time.monotonic() - self.heard >= PERIOD

    def close(self) -> None:
        """Show no more. Closing twice does no harm."""
        self.over.set()
        if self in _active:
            _active.remove(self)
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def said(self) -> str:
        """Put steps, speed, note and the time left into words."""
        seconds = time.monotonic() - self.start
        parts = [] if self.total is None else [f'{self.steps}/{self.total}']
        if self.items:
            parts.append(
                f'{self.items / max(seconds, 1e-9):.3g} {self.unit}/s')
        parts += [self.note] * bool(self.note)
        made = self.steps - self.before
        if self.total is not None and made:
            left = (self.total - self.steps) * seconds / made
            parts.append(f'{_clock(left)} left')
        else:
            parts.append(f'for {_clock(seconds)}')
        return ', '.join(parts)

    def _show(self) -> None:
        _active.append(self)
        self.bar = None if len(_active) > 1 else _bar(self)
        if self.bar is not None:
            self.task = self.bar.add_task(self.what, total=self.total)
            self.bar.start()
        else:
            threading.Thread(target=self._tick, daemon=True).start()

    def _tick(self) -> None:
        # In a thread, so that a long step is no silence.
        while not self.over.wait(self.heard + PERIOD - time.monotonic()):
            if not self.is_due():
                continue
            self.heard = time.monotonic()
            with suppress(OSError, ValueError):  # nobody reads any more
                print(
                    f'{self.what}: {self.said()}', file=sys.stderr, flush=True)


def tracked(things: Iterable[_T],
            what: str,
            total: int | None = None,
            size: Callable[[_T], int] | None = None,
            unit: str = 'images') -> Iterator[_T]:
    """Go through things, and show how far it is.

    ``size`` counts what a thing holds, by default one; what else can be given
    is as of :class:`Progress`.
    """
    with Progress(what, total, unit) as progress:
        for thing in things:
            yield thing
            progress.advance(1 if size is None else size(thing))


def close_all() -> None:
    """Show nothing more of what an error has cut off."""
    for progress in [*_active]:
        progress.close()


def say(text: str) -> None:
    """Print a line on stdout; on a terminal above the bar that is there.

    A reader that went away ends no job.
    """
    _print(text, sys.stdout)


def warn(text: str) -> None:
    """Print a line on stderr, as :func:`say` does on stdout."""
    _print(text, sys.stderr)


def _print(text: str, stream: TextIO) -> None:
    bar = _active[0].bar if _active else None
    for progress in _active:
        progress.heard = time.monotonic()
    with suppress(OSError):
        if bar is not None and stream.isatty():
            bar.console.print(
                text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=stream, flush=True)


def _is_first() -> bool:
    """Say whether this is the first, or only, process of a job."""
    dist: Any = sys.modules.get('torch.distributed')
    return (dist is None or not dist.is_available()
            or not dist.is_initialized() or dist.get_rank() == 0)


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _bar(progress: Progress) -> Any:
    """Make a bar of rich, if stderr is a terminal."""
    if not sys.stderr.isatty():
        return None
    from rich.console import Console
    from rich.progress import BarColumn
    from rich.progress import Progress as Bar
    from rich.progress import ProgressColumn, TextColumn
    from rich.text import Text

    class Said(ProgressColumn):
        """What :meth:`Progress.said` says at the moment."""

        def render(self, task: object) -> Text:
            return Text(progress.said())

    console = Console(file=sys.stderr)
    if console.is_dumb_terminal:  # which cannot draw over a line
        return None
    # Nothing is redirected: a process forked meanwhile must not wait for it.
    return Bar(
        TextColumn('{task.description}'),
        BarColumn(20),
        Said(),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        refresh_per_second=4)
