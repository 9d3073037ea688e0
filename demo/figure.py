"""Figure of the demo: training curve, latency, predicted digits."""
from __future__ import annotations

from pathlib import Path

from comparison import Comparison
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from repmlp_lite.files import atomic_write

_FORMS = ('training form', 'deploy form')
_COLORS = ('#b0b7c3', '#1f6feb')
_DIGITS = 10


def draw(comparison: Comparison, curve: list[dict[str, float]],
         path: Path) -> None:
    """Draw the figure and write it as a PNG, replacing an older one.

    Args:
        comparison: Both forms on the validation images.
        curve: The training log, one dict a line.
        path: The file.
    """
    figure = Figure((11, 5.2), layout='constrained')
    top, bottom = figure.subfigures(2, 1, height_ratios=(3, 1.4))
    left, right = top.subplots(1, 2, width_ratios=(3, 2))
    _draw_curve(left, curve)
    _draw_latency(right, comparison)
    _draw_digits(bottom, comparison)
    with atomic_write(path, force=True) as temporary:
        figure.savefig(temporary, format='png', dpi=120)


def _draw_curve(axes: Axes, curve: list[dict[str, float]]) -> None:
    training = [row for row in curve if 'loss' in row]
    tested = [row for row in curve if 'accuracy/top1' in row]
    per_epoch = max(row['step'] for row in training) / max(row['step']
                                                           for row in tested)
    axes.plot([row['step'] / per_epoch for row in training],
              [row['loss'] for row in training],
              color=_COLORS[0])
    axes.set(xlabel='epoch', ylabel='training loss', title='Training')
    axes.xaxis.get_major_locator().set_params(integer=True)
    accuracy = axes.twinx()
    accuracy.plot([row['step'] for row in tested],
                  [row['accuracy/top1'] for row in tested],
                  color=_COLORS[1],
                  marker='.')
    accuracy.set_ylabel('validation top-1 (%)', color=_COLORS[1])


def _draw_latency(axes: Axes, comparison: Comparison) -> None:
    axes.boxplot([[1e3 * second for second in seconds]
                  for seconds in comparison.seconds],
                 tick_labels=[
                     f'{form}\n{top1:.2f} %'
                     for form, top1 in zip(_FORMS, comparison.top1)
                 ],
                 showfliers=False,
                 widths=0.5,
                 medianprops=dict(color=_COLORS[1]))
    axes.set_ylim(bottom=0)
    axes.set(ylabel='ms', title=f'Latency of {comparison.batch_size} images')


def _draw_digits(figure: SubFigure, comparison: Comparison) -> None:
    figure.suptitle(
        'Digits, with class and probability by the deploy form (red: wrong)',
        fontsize='medium')
    step = len(comparison.images) // _DIGITS
    for axes, i in zip(
            figure.subplots(1, _DIGITS), range(0, step * _DIGITS, step)):
        score, predicted = comparison.logits[1][i].softmax(0).max(0)
        truth = int(comparison.labels[i])
        axes.imshow(comparison.images[i].mean(0).numpy(), cmap='gray')
        axes.set_title(
            f'{predicted} ({score:.0%})',
            fontsize='small',
            color='black' if predicted == truth else 'red')
        axes.set(xlabel=f'truth: {truth}', xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
