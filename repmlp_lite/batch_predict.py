"""Classify many images: in batches, some unreadable, into a table or lines.

Programs without the host use this too, so that nothing heavy is imported.
"""
from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

from .console import Progress, warn
from .errors import JobFailedError, UserError, option, printable

T = TypeVar('T')
BATCH_SIZE, TOP, _NAMED = 16, 5, 3

# What a batch gives: for each image its classes, or why there are none.
Outcome = list[tuple[str, float]] | JobFailedError


def check_batch_options(batch_size: int, top_k: int) -> None:
    """Refuse what is no number of images or classes.

    Raises:
        UserError: If one is below 1.
    """
    for name, value in (('batch_size', batch_size), ('top_k', top_k)):
        if value < 1:
            raise UserError(f'{option(name, value)} cannot be: it is a number '
                            'from 1 on')


def batch_predict(images: Sequence[Path],
                  prepare: Callable[[Path], T],
                  run: Callable[[list[Path], list[T]], Sequence[Outcome]],
                  batch_size: int = BATCH_SIZE,
                  out: str | Path | None = None,
                  force: bool = False,
                  report: Callable[[str], None] = print) -> None:
    """Classify images and report or write what they are.

    Without ``out`` there is a line for every image; with it a table, and how
    far the work is on stderr. What cannot be read is named there as well, and
    skipped.

    Args:
        images: The files.
        prepare: Reads an image; may raise JobFailedError.
        run: Classifies what was read of a batch, given its files too.
        batch_size: How many images are classified at a time. Defaults to 16.
        out: Table to write, a name that ``results.check_results`` has passed.
            Defaults to none.
        force: Whether ``out`` may be replaced. Defaults to False.
        report: Called with a line for each image, or of the table. Defaults
            to print.

    Raises:
        JobFailedError: If images were skipped; all others have been reported
            and written then.
    """
    done: list[tuple[Path, list[tuple[str, float]]]] = []
    skipped: list[tuple[Path, JobFailedError]] = []
    # Lines of results on a terminal are a sign of life themselves.
    shown = out is not None or not sys.stdout.isatty()
    with (Progress('classifying', len(images))
          if shown else nullcontext()) as progress:
        for image, outcome in _outcomes(images, prepare, run, batch_size):
            if isinstance(outcome, JobFailedError):
                skipped.append((image, outcome))
                if len(images) > 1:
                    warn(printable(f'skipped: {outcome}'))
            elif out is None:
                report(f'{printable(str(image))}: {format_top_k(outcome)}')
            else:
                done.append((image, outcome))
            if progress is not None:
                progress.advance()
    if out is not None and done:
        # Here alone: what it needs is not everywhere where files are run.
        from .results import write_results
        write_results(done, out, force)
        report(f'{len(done)} of {len(images)} images are in {out}')
    if skipped:
        raise _failure(skipped, len(images))


def format_top_k(top: Sequence[tuple[str, float]]) -> str:
    """Describe the classes of an image in a line."""
    return ', '.join(f'{printable(name)} {score:.1%}' for name, score in top)


def _outcomes(images: Sequence[Path], prepare: Callable[[Path], T],
              run: Callable[[list[Path], list[T]], Sequence[Outcome]],
              batch_size: int) -> Iterator[tuple[Path, Outcome]]:
    for start in range(0, len(images), batch_size):
        batch = images[start:start + batch_size]
        outcomes: dict[int, Outcome] = {}
        ready: dict[int, T] = {}
        for i, image in enumerate(batch):
            try:
                ready[i] = prepare(image)
            except JobFailedError as error:
                outcomes[i] = error
        if ready:
            outcomes |= zip(ready,
                            run([batch[i] for i in ready], [*ready.values()]))
        yield from ((image, outcomes[i]) for i, image in enumerate(batch))


def _failure(skipped: Sequence[tuple[Path, JobFailedError]],
             count: int) -> JobFailedError:
    if count == 1:
        return skipped[0][1]
    names = ', '.join(repr(str(image)) for image, _ in skipped[:_NAMED])
    more = len(skipped) - _NAMED
    return JobFailedError(
        f'{len(skipped)} of {count} images were skipped, as each line above '
        f'says why: {names}' + (f' and {more} more' if more > 0 else ''))
