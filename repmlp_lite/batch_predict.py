"""Classification of many images in batches, into lines or a table."""
from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

from .console import Progress, say, warn
from .errors import JobFailedError, UserError, first_few, option, shorten

T = TypeVar('T')
BATCH_SIZE, TOP = 16, 5

# Classes of an image with their scores, or why there are none.
Outcome = list[tuple[str, float]] | JobFailedError
# Classifies the prepared images of a batch, given their files too.
Run = Callable[[list[Path], list[T]], Sequence[Outcome]]


def check_batch_options(batch_size: int, top_k: int) -> None:
    """Raise UserError if a number of images or classes is below 1."""
    for name, value in (('batch_size', batch_size), ('top_k', top_k)):
        if value < 1:
            raise UserError(f'{option(name, value)} cannot be used: give a '
                            'number from 1 on')


def batch_predict(images: Sequence[Path],
                  prepare: Callable[[Path], T],
                  run: Run[T],
                  batch_size: int = BATCH_SIZE,
                  out: str | Path | None = None,
                  force: bool = False) -> None:
    """Classify images, and print or write their classes.

    Images that cannot be read are skipped and named on stderr.

    Args:
        images: The files.
        prepare: Reads an image; may raise JobFailedError.
        run: Classifies a batch of prepared images, given their files too.
        batch_size: Images that are classified at a time. Defaults to 16.
        out: Table to write in the place of lines, which
            ``results.check_results`` has passed. Defaults to none.
        force: Whether ``out`` may be replaced. Defaults to False.

    Raises:
        JobFailedError: If images were skipped; all others are done then.
    """
    done: list[tuple[Path, list[tuple[str, float]]]] = []
    skipped: list[Path] = []
    outcomes = _classify(images, prepare, run, batch_size)
    # Lines of results on a terminal show the progress themselves.
    has_bar = out is not None or not sys.stdout.isatty()
    progress = Progress('classifying', len(images)) if has_bar else None
    with progress or nullcontext():
        for image, outcome in outcomes:
            if isinstance(outcome, JobFailedError):
                if len(images) == 1:
                    raise outcome
                skipped.append(image)
                warn(f'skipped: {outcome}')
            elif out is None:
                say(f'{image}: {format_top_k(outcome)}')
            else:
                done.append((image, outcome))
            if progress is not None:
                progress.advance()
    if out is not None and done:
        # Its lock files need a package that is not everywhere.
        from .results import write_results
        write_results(done, out, force)
        say(f'{len(done)} of {len(images)} images are in {out}')
    if skipped:
        names = first_few([repr(str(image)) for image in skipped])
        raise JobFailedError(f'{len(skipped)} of {len(images)} images were '
                             f'skipped, each for the reason above: {names}')


def format_top_k(top: Sequence[tuple[str, float]]) -> str:
    """Write the classes of an image and their scores in a line."""
    return ', '.join(f'{shorten(name, 60)} {score:.1%}' for name, score in top)


def _classify(images: Sequence[Path], prepare: Callable[[Path], T],
              run: Run[T], batch_size: int) -> Iterator[tuple[Path, Outcome]]:
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
            files = [batch[i] for i in ready]
            outcomes |= zip(ready, run(files, [*ready.values()]))
        yield from ((image, outcomes[i]) for i, image in enumerate(batch))
