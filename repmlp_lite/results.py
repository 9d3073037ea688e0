"""Tables of classified images: .csv for spreadsheets, .json for programs."""
from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from .files import atomic_write, check_suffix, check_writable

# An image with its likeliest classes and their scores, best first.
Classified = tuple[Path, Sequence[tuple[str, float]]]

SUFFIXES = ('.csv', '.json')


def check_results(path: str | Path,
                  force: bool = False,
                  *sources: str | Path | None) -> None:
    """Make sure that a table can be written before the work begins.

    What is read for it, the sources, and ``force`` are as of
    :func:`~repmlp_lite.files.check_writable`.

    Raises:
        UserError: If its suffix is none of :data:`SUFFIXES`, or it exists and
            ``force`` is not set.
    """
    check_suffix(path, SUFFIXES, 'a table of images')
    check_writable(path, force, *sources)


def write_results(found: Sequence[Classified],
                  path: str | Path,
                  force: bool = False) -> None:
    """Write a row for every image, whole or not at all.

    A .csv has the columns image, class_1, score_1, class_2, score_2, ...; a
    .json a list of ``{'image': ..., 'top': [{'class': ..., 'score': ...}]}``.

    All images have as many classes. An existing file is replaced only with
    ``force``, which is False by default.

    Raises:
        UserError: As :func:`check_results`.
        OSError: If it cannot be written.
    """
    check_results(path, force)
    write = _write_csv if Path(path).suffix.lower() == '.csv' else _write_json
    with atomic_write(path, force) as temporary:
        write(found, temporary)


def _write_csv(found: Sequence[Classified], path: Path) -> None:
    count = max((len(top) for _, top in found), default=0)
    header = ['image'] + [
        f'{what}_{i}' for i in range(1, count + 1)
        for what in ('class', 'score')
    ]
    # Names of files need not be text in UTF-8: they are written as they are.
    with open(
            path, 'w', newline='', encoding='utf-8',
            errors='surrogateescape') as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for image, top in found:
            writer.writerow([image, *(part for pair in top for part in pair)])


def _write_json(found: Sequence[Classified], path: Path) -> None:
    rows = [{
        'image': str(image),
        'top': [{
            'class': name,
            'score': score
        } for name, score in top]
    } for image, top in found]
    path.write_text(json.dumps(rows, indent=1) + '\n', encoding='utf-8')
