"""Test a checkpoint and count which class it takes for which."""
from __future__ import annotations

import csv
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModel
from torch import Tensor
from torch.utils.data import DataLoader

from mmcls_repmlp.host import ConfusionMatrix
from mmcls_repmlp.jobs.shared.config import loader_config
from mmcls_repmlp.jobs.shared.data import batches, open_loader
from mmcls_repmlp.jobs.shared.labels import match_classes, names_of
from mmcls_repmlp.jobs.shared.source import open_source
from repmlp_lite.errors import UserError
from repmlp_lite.files import atomic_write, check_suffix, check_writable

_SUFFIXES = ('.png', '.csv')
_PICKLES = ('.pkl', '.pickle')
_WORST = 5  # confusions that are named
_READABLE = 50  # classes whose names and counts can be read in a picture
_PRINTABLE = 20  # classes whose counts fit a terminal, or stand in a picture


def confusion_matrix(config: str | Path | None,
                     checkpoint: str | Path,
                     out: str | Path | None = None,
                     include_values: bool | None = None,
                     device: str = 'cpu',
                     key: str | None = None,
                     cfg_options: Mapping[str, Any] | None = None,
                     force: bool = False,
                     report: Callable[[str], None] = print) -> Tensor:
    """Test a checkpoint on the config's test data, class by class.

    Args:
        config: Path of the config; None for the one in the checkpoint.
        checkpoint: Path or URL of a checkpoint that fits it. No file of
            predictions: such files are pickles of tensors, which cannot be
            read without running what they say.
        out: File for the matrix, .png or .csv. Defaults to none.
        include_values: Whether the picture has the counts, of 50 classes at
            most. Defaults to None: of 20 classes at most.
        device: Where the model runs. Defaults to 'cpu'.
        key: Entry of the checkpoint that holds the weights. Defaults to the
            only one.
        cfg_options: Settings to change in the config. Defaults to none.
        force: Whether ``out`` may be replaced. Defaults to False.
        report: Called with the findings. Defaults to print.

    Returns:
        Counts of shape (classes, classes), int64: true class, predicted one.

    Raises:
        UserError: If something given is not usable.
        ImageError: If an image cannot be read.
    """
    if Path(checkpoint).suffix in _PICKLES:
        raise UserError(f'{str(checkpoint)!r} is not read, because a pickle '
                        'of predictions can run code: give the checkpoint '
                        'that made it, it is tested again')
    if out is not None:
        check_suffix(out, _SUFFIXES, 'a matrix')
        check_writable(out, force)
    source = open_source(config, checkpoint, key, cfg_options)
    loader_config(source.cfg, 'test')
    model = source.load_model(device)
    loader = open_loader(source.cfg, 'test')
    match_classes(loader.dataset, model.class_names, model)
    matrix = _count(model, loader)
    classes = _names(loader.dataset, len(matrix))
    report(_describe(matrix, classes))
    if out is not None:
        with atomic_write(out, force) as temporary:
            if Path(out).suffix.lower() == '.csv':
                _write_csv(matrix, classes, temporary)
            else:
                _draw(matrix, classes, include_values, temporary)
        report(f'written to {out}')
    return matrix


@torch.inference_mode()
def _count(model: BaseModel, loader: DataLoader) -> Tensor:
    metric = ConfusionMatrix()
    for batch in batches(loader):
        metric.process(
            batch,
            [sample.cpu().to_dict() for sample in model.test_step(batch)])
    dataset: Any = loader.dataset
    result = metric.evaluate(len(dataset))
    return result['confusion_matrix/result']


def _names(dataset: BaseDataset, count: int) -> list[str]:
    names = names_of(dataset)[:count]
    return [*names, *(f'class {i}' for i in range(len(names), count))]


def _score(matrix: Tensor) -> str:
    count, hits = int(matrix.sum()), int(matrix.trace())
    return f'{count} images, top-1 {100 * hits / count:.2f} %'


def _describe(matrix: Tensor, classes: Sequence[str]) -> str:
    lines = [_score(matrix)]
    if len(classes) <= _PRINTABLE:
        width = max(*map(len, classes), len(str(int(matrix.max())))) + 1
        lines += ['true class in rows, predicted class in columns:']
        lines += [
            ''.join(f'{cell:>{width}}' for cell in row)
            for row in [['', *classes], *(
                [name, *counts]
                for name, counts in zip(classes, matrix.tolist()))]
        ]
    wrong = matrix.clone().fill_diagonal_(0).flatten()
    times, places = wrong.topk(min(_WORST, len(wrong)))
    for n, place in zip(times.tolist(), places.tolist()):
        if n:
            true, said = divmod(place, len(classes))
            lines.append(f'{classes[true]} taken for {classes[said]}: {n} of '
                         f'{int(matrix[true].sum())}')
    return '\n'.join(lines)


def _write_csv(matrix: Tensor, classes: Sequence[str], path: Path) -> None:
    with open(path, 'w', newline='') as file:
        rows = csv.writer(file)
        rows.writerow(['true \\ predicted', *classes])
        rows.writerows([name, *counts]
                       for name, counts in zip(classes, matrix.tolist()))


def _draw(matrix: Tensor, classes: Sequence[str], values: bool | None,
          path: Path) -> None:
    plt.switch_backend('agg')  # the host uses pyplot; no display is needed
    readable = len(classes) <= _READABLE
    if values is None:
        values = len(classes) <= _PRINTABLE
    with warnings.catch_warnings():
        # matplotlib asks the tensor for an array as numpy 2 does it.
        warnings.filterwarnings('ignore', '__array__', DeprecationWarning)
        figure = ConfusionMatrix.plot(
            matrix,
            include_values=values and readable,
            classes=list(classes),
            show=False)
    cells, bar = figure.axes
    cells.set_title(_score(matrix))
    bar.set_ylabel('images')
    bar.yaxis.set_major_locator(MaxNLocator(integer=True))
    if not readable:
        cells.set(xticks=[], yticks=[])
    figure.savefig(path, format='png', bbox_inches='tight')
    plt.close(figure)
