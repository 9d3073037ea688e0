"""The surest mistakes of a test, as a picture beside its log."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from heapq import nlargest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from mmengine.dist import all_gather_object
from mmengine.evaluator import BaseMetric, Evaluator

from mmcls_repmlp.host import gt_labels, pred_scores
from mmcls_repmlp.jobs.shared.pictures import fonts_for, to_picture
from repmlp_lite.errors import shorten
from repmlp_lite.files import atomic_write

_COUNT, _COLUMNS = 16, 4


class Mistake(NamedTuple):
    """An image, as the model sees it, with a wrong prediction."""
    score: float  # of the predicted class
    truth: int
    predicted: int
    pixels: np.ndarray  # (H, W, C)


class Mistakes(BaseMetric):
    """Metric that keeps the surest mistakes and gives no score."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Mistake] = []

    def process(self, data_batch: Mapping[str, Any],
                data_samples: Sequence[dict]) -> None:
        """Keep the surest mistakes of a batch and of those before it."""
        found, images = [], data_batch['inputs']
        if isinstance(images, (list, tuple)) and np.ndim(images[0]) != 3:
            images = images[0]  # of several views, the first
        for place, sample in enumerate(data_samples):
            scores, truth = pred_scores(sample), int(gt_labels(sample)[0])
            predicted = int(scores.argmax())
            if predicted != truth:
                found.append(
                    Mistake(
                        float(scores.max()), truth, predicted,
                        images[place].permute(1, 2, 0).cpu().numpy()))
        self.kept = _surest([*self.kept, *found])

    def evaluate(self, size: int) -> dict[str, Any]:
        """Gather the surest mistakes of all processes; return no score."""
        gathered = all_gather_object(self.kept)
        self.kept = _surest([kept for part in gathered for kept in part])
        return {}

    def compute_metrics(self, results: list) -> dict[str, Any]:
        """Return no score."""
        return {}


def add_mistakes(evaluator: Evaluator) -> Mistakes:
    """Add a metric of mistakes to those of a test of single labels."""
    metric = Mistakes()
    evaluator.metrics.append(metric)
    return metric


def write_mistakes(mistakes: Sequence[Mistake],
                   classes: Sequence[str],
                   bgr: bool,
                   folder: str | Path,
                   norm: Mapping[str, Any] | None = None) -> None:
    """Draw mistakes to ``mistakes.png``, the surest first.

    Args:
        mistakes: One or more of them.
        classes: Names of the classes.
        bgr: Whether the first of their channels is blue.
        folder: Folder of the test's log.
        norm: Normalisation to undo, as of a pipeline. Defaults to none.
    """
    rows = math.ceil(len(mistakes) / _COLUMNS)
    figure = Figure((2.4 * _COLUMNS, 2.8 * rows), layout='constrained')
    figure.suptitle('Surest mistakes')
    panels = [*figure.subplots(rows, _COLUMNS, squeeze=False).flat]
    for panel in panels:
        panel.set_axis_off()
    names = dict(enumerate(classes))
    for panel, mistake in zip(panels, mistakes):
        panel.imshow(
            to_picture(dict(img=mistake.pixels, img_norm_cfg=norm), bgr))
        truth, predicted = (
            shorten(str(names.get(label, f'class {label}')), 26)
            for label in (mistake.truth, mistake.predicted))
        panel.set_title(
            f'{truth}\ntaken for {predicted} ({mistake.score:.0%})',
            size='small',
            parse_math=False)
    with fonts_for(classes), atomic_write(
            Path(folder, 'mistakes.png'), force=True) as path:
        figure.savefig(path, format='png')


def _surest(mistakes: list[Mistake]) -> list[Mistake]:
    return nlargest(_COUNT, mistakes, key=lambda mistake: mistake.score)
