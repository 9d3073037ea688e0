"""Tables of classified images: .csv for spreadsheets, .json for programs."""
from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from .errors import printable
from .files import atomic_write, check_suffix, check_writable

# An image with its likeliest classes and their scores, best first.
Classified = tuple[Path, Sequence[tuple[str, float]]]

SUFFIXES = ('.csv', '.json')


def check_results(path: str | Path,
                  force: bool = False,
                  *sources: str | Path | None) -> None:
    """Check the suffix of a table, and that it is writable."""
    check_suffix(path, SUFFIXES, 'a table of images')
    check_writable(path, force, *sources)


def write_results(images: Sequence[Classified],
                  path: str | Path,
                  force: bool = False) -> None:
    """Write a row for every image, whole or not at all.

    A .csv has the columns image, class_1, score_1, class_2, score_2, ...; a
    .json a list of ``{'image': ..., 'top': [{'class': ..., 'score': ...}]}``.
    The path is one that :func:`check_results` has passed.
    """
    with atomic_write(path, force) as temporary:
        if temporary.suffix.lower() == '.csv':
            _write_csv(images, temporary)
            return
        keys = ('class', 'score')
        rows = [
            dict(
                image=str(image), top=[dict(zip(keys, pair)) for pair in top])
            for image, top in images
        ]
        temporary.write_text(json.dumps(rows, indent=1) + '\n')


def _write_csv(images: Sequence[Classified], path: Path) -> None:
    count = max((len(top) for _, top in images), default=0)
    columns = [(f'class_{i}', f'score_{i}') for i in range(1, count + 1)]
    images = [(image, [(printable(name), score) for name, score in top])
              for image, top in images]
    write_csv(([first, *chain.from_iterable(pairs)]
               for first, pairs in [('image', columns), *images]), path)


def write_csv(rows: Iterable[Sequence[object]], path: Path) -> None:
    """Write rows in UTF-8, with the mark that Excel knows it by."""
    # Names of files may not be UTF-8: they are written as they are.
    with open(
            path, 'w', newline='', encoding='utf-8-sig',
            errors='surrogateescape') as file:
        csv.writer(file).writerows(rows)
