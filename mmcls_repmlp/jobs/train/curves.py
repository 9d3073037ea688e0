"""Draw and sum up the curves in mmengine's logs."""
from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from repmlp_lite.errors import UserError
from repmlp_lite.files import atomic_write, check_suffix, check_writable

_COUNTERS = ('step', 'iter', 'epoch')
_TIMES = ('time', 'data_time')
_WIDTH, _HEIGHT = 7, 3


class Curve(NamedTuple):
    """What a log says of one key.

    Attributes:
        steps: Where it was measured.
        values: The values there.
        unit: What the steps count: 'iteration' or 'epoch'.
        evaluated: Whether it was measured in evaluation, not in training.
    """
    steps: list[int]
    values: list[float]
    unit: str
    evaluated: bool


def analyze_logs(logs: Sequence[str | Path],
                 out: str | Path | None = None,
                 keys: Sequence[str] = (),
                 legend: Sequence[str] = (),
                 force: bool = False,
                 report: Callable[[str], None] = print) -> None:
    """Print a summary of logs, and draw their curves, a panel for each key.

    Args:
        logs: Files that mmengine calls ``vis_data/scalars.json``.
        out: PNG to draw to. Defaults to none.
        keys: What to show. Defaults to the losses and all that was evaluated.
        legend: A name for each log. Defaults to the paths.
        force: Whether ``out`` may be replaced. Defaults to False.
        report: Called with every line of the summary. Defaults to print.

    Raises:
        UserError: If a file is no log, has none of a key, names do not match
            in number, or ``out`` would be overwritten.
    """
    names = list(legend) or [str(log) for log in logs]
    if len(names) != len(logs):
        raise UserError(f'{len(names)} names in the legend for {len(logs)} '
                        'logs: give one for each')
    if out is not None:
        check_suffix(out, ('.png', ), 'the curves')
        check_writable(out, force)
    read = [read_log(log) for log in logs]
    keys = list(keys) or [
        key for key, curve in read[0].items() if _is_telling(key, curve)
    ]
    for log, curves in zip(logs, read):
        for key in keys:
            if key not in curves:
                raise UserError(f'log {str(log)!r} has no {key!r}: it has '
                                f'{", ".join(sorted(curves))}')
    for name, curves in zip(names, read):
        report(summary(name, keys, curves))
    if out is not None:
        with atomic_write(out, force) as temporary:
            _draw(names, read, keys).savefig(temporary, format='png', dpi=120)


def read_log(path: str | Path) -> dict[str, Curve]:
    """Read the curves of a log.

    A last line that was cut off, as by a training that still runs, is left
    out.

    Args:
        path: A file of JSON objects, one a line.

    Returns:
        Curves by key.

    Raises:
        UserError: If there is no such file, or it is no log.
    """
    rows = _rows(Path(path))
    by_epoch = any('epoch' in row for row in rows)
    curves: dict[str, Curve] = {}
    for row in rows:
        evaluated = 'iter' not in row
        unit = 'epoch' if evaluated and by_epoch else 'iteration'
        # The times of training say more than those of evaluation.
        others = (*_COUNTERS, *_TIMES) if evaluated else _COUNTERS
        for key, value in row.items():
            if key not in others and isinstance(value, (int, float)):
                curve = curves.setdefault(key, Curve([], [], unit, evaluated))
                curve.steps.append(row['step'])
                curve.values.append(value)
    return curves


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'log {str(path)!r} cannot be read ({error}): give '
                        'the scalars.json in a vis_data folder') from error
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            if rows and number == len(lines):
                break
            row = None
        if not isinstance(row, dict) or 'step' not in row:
            raise UserError(f'{str(path)!r} is no log of mmengine, see its '
                            f'line {number}: give the scalars.json in a '
                            'vis_data folder')
        rows.append(row)
    if not rows:
        raise UserError(f'log {str(path)!r} is empty: has the training '
                        'reached its first report?')
    return rows


def _is_telling(key: str, curve: Curve) -> bool:
    return 'loss' in key or curve.evaluated


def summary(name: str, keys: Sequence[str], curves: dict[str, Curve]) -> str:
    """Say the best and the last value of curves, and how long it took.

    Args:
        name: What to call the log.
        keys: Curves to sum up. Best is the lowest of a loss, and else the
            highest; of what is neither a loss nor evaluated there is no best.
        curves: All curves of the log.

    Returns:
        Lines for people.
    """
    width = max(map(len, keys), default=0)
    lines = [name]
    for key in keys:
        curve = curves[key]
        line = (f'  {key:{width}}  last {curve.values[-1]:.4g} '
                f'({curve.unit} {curve.steps[-1]})')
        if _is_telling(key, curve):
            best = (min if 'loss' in key else max)(curve.values)
            at = curve.steps[curve.values.index(best)]
            line += f', best {best:.4g} ({curve.unit} {at})'
        lines.append(line)
    if 'time' in curves:
        whole, data = (
            statistics.median(curves[key].values) if key in curves else 0.
            for key in _TIMES)
        lines.append(f'  time per iteration: {whole:.4f} s, of which '
                     f'{data:.4f} s waiting for data (medians)')
    return '\n'.join(lines)


def _draw(names: Sequence[str], logs: Sequence[dict[str, Curve]],
          keys: Sequence[str]) -> Figure:
    figure = Figure((_WIDTH, _HEIGHT * len(keys)), layout='constrained')
    panels = figure.subplots(len(keys), squeeze=False)[:, 0]
    for key, axes in zip(keys, panels):
        _draw_panel(axes, key, names, [log[key] for log in logs])
    if len(names) > 1:
        panels[0].legend(fontsize='small')
    return figure


def _draw_panel(axes: Axes, key: str, names: Sequence[str],
                curves: Sequence[Curve]) -> None:
    for name, curve in zip(names, curves):
        axes.plot(
            curve.steps,
            curve.values,
            label=name,
            marker='.' if curve.evaluated else None)
    axes.set(xlabel=curves[0].unit, ylabel=key)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.spines[['top', 'right']].set_visible(False)
