"""Confusion matrix of a test, as a picture and a table beside its log."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from mmengine.evaluator import Evaluator
from torch import Tensor

from mmcls_repmlp.host import Accuracy, ConfusionMatrix, SingleLabelMetric
from mmcls_repmlp.jobs.shared.pictures import fonts_for
from repmlp_lite.console import say
from repmlp_lite.errors import printable
from repmlp_lite.files import atomic_write
from repmlp_lite.results import write_csv

_NAMED = 50  # classes whose names can be read in a picture
_COUNTED = 20  # classes whose counts can be read in a picture


class MatrixMetric(ConfusionMatrix):
    """The host's confusion matrix, kept out of the scores."""
    counts: Tensor  # of images by true and predicted class, after the test

    def evaluate(self, size: int) -> dict[str, Any]:
        """Set :attr:`counts` and return no score."""
        self.counts = super().evaluate(size)[f'{self.prefix}/result']
        return {}


def add_matrix(evaluator: Evaluator) -> MatrixMetric | None:
    """Add a confusion matrix to the metrics if they are of single labels."""
    kinds = {type(metric) for metric in evaluator.metrics}
    if not kinds & {Accuracy, SingleLabelMetric}:
        return None
    metric = MatrixMetric()
    evaluator.metrics.append(metric)
    return metric


def write_matrix(counts: Tensor,
                 classes: Sequence[str],
                 folder: str | Path,
                 picture: bool = True) -> None:
    """Write a confusion matrix to .csv and .png, and report the worst."""
    names = [printable(name) for name in classes[:len(counts)]]
    names += [f'class {i}' for i in range(len(names), len(counts))]
    stem = Path(folder, 'confusion_matrix')
    with atomic_write(stem.with_suffix('.csv'), force=True) as path:
        rows = [[name, *row] for name, row in zip(names, counts.tolist())]
        write_csv([['true \\ predicted', *names], *rows], path)
    if picture:
        with fonts_for(names), atomic_write(
                stem.with_suffix('.png'), force=True) as path:
            _draw(counts, names).savefig(
                path, format='png', bbox_inches='tight')
    wrong = counts.clone().fill_diagonal_(0).flatten()
    worst = []
    for place in wrong.topk(min(3, len(wrong))).indices.tolist():
        true, predicted = divmod(place, len(names))
        if wrong[place]:
            worst.append(f'{names[true]} taken for {names[predicted]} '
                         f'({wrong[place]} of {counts[true].sum()})')
    if worst:
        say(f'most confused: {", ".join(worst)}')


def _draw(counts: Tensor, names: Sequence[str]) -> Figure:
    classes, images = len(names), int(counts.sum())
    side = min(3 + 0.35 * classes, 20)
    figure = Figure((side + 1, side))
    axes = figure.subplots()
    cells = axes.imshow(counts.numpy(), cmap='Blues', vmin=0)
    axes.set(
        title=f'{images} images, top-1 '
        f'{100 * int(counts.trace()) / images:.2f} %',
        xlabel='predicted class',
        ylabel='true class',
        xticks=[],
        yticks=[])
    if classes <= _NAMED:
        axes.set_xticks(range(classes), names, rotation=90, parse_math=False)
        axes.set_yticks(range(classes), names, parse_math=False)
    if classes <= _COUNTED:
        middle = counts.max() / 2
        for true, row in enumerate(counts.tolist()):
            for predicted, n in enumerate(row):
                color = 'white' if n > middle else 'black'
                axes.text(
                    predicted, true, n, ha='center', va='center', color=color)
    ticks = MaxNLocator(integer=True)
    figure.colorbar(cells, label='images', ticks=ticks)
    return figure
