"""Curves of a training run, drawn from what mmengine logs."""
from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from mmengine.dist import is_main_process

from repmlp_lite.console import say, warn
from repmlp_lite.errors import describe
from repmlp_lite.files import atomic_write


class Curve(NamedTuple):
    """Values of one key by step; the unit is 'iteration' or 'epoch'."""
    steps: list[int]
    values: list[float]
    unit: str


def write_curves(work_dir: str | Path) -> None:
    """Draw losses and validation scores, if any, to a work folder.

    A failure is only a warning: a picture must not end a training run.
    """
    path = Path(work_dir, 'curves.png')
    try:
        curves = read_curves(work_dir) if is_main_process() else {}
        if curves:
            with atomic_write(path, force=True) as temporary:
                _draw(curves).savefig(
                    temporary, format='png', bbox_inches='tight')
            say(f'curves are drawn to {path}')
    except Exception as error:
        warn(f'warning: {path} cannot be drawn: {describe(error)}')


def read_curves(work_dir: str | Path) -> dict[str, Curve]:
    """Read losses and validation scores by key from the logs of a work folder.

    A resumed run is continued by the next one, which wins at equal steps.
    """
    rows: list[dict[str, Any]] = []
    for log in sorted(Path(work_dir).glob('*/vis_data/scalars.json')):
        rows = _join(rows, _read_rows(log))
    by_epoch = any('epoch' in row for row in rows)
    curves: dict[str, Curve] = {}
    for row in rows:
        validated = 'iter' not in row
        unit = 'epoch' if validated and by_epoch else 'iteration'
        for key, value in row.items():
            if 'loss' in key or (validated and isinstance(value, (int, float))
                                 and key not in ('step', 'time', 'data_time')):
                curve = curves.setdefault(key, Curve([], [], unit))
                curve.steps.append(row['step'])
                curve.values.append(value)
    return curves


def _read_rows(log: Path) -> list[dict[str, Any]]:
    rows = []
    for line in log.read_text().splitlines():
        with suppress(json.JSONDecodeError):  # cut off when its run was killed
            rows.append(json.loads(line))
    return rows


def _join(rows: list[dict[str, Any]],
          run: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Continue rows by those of a later run, unless it is only a test."""
    first = next((row['iter'] for row in run if 'iter' in row), None)
    if first is None:
        return rows
    return [*takewhile(lambda row: row.get('iter', 0) < first, rows), *run]


def _draw(curves: Mapping[str, Curve]) -> Figure:
    figure = Figure((7, 3 * len(curves)))
    panels = figure.subplots(
        len(curves), squeeze=False, gridspec_kw=dict(hspace=0.3))[:, 0]
    for (key, curve), axes in zip(curves.items(), panels):
        axes.plot(curve.steps, curve.values, marker='.')
        axes.set(xlabel=curve.unit, ylabel=key)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    return figure
