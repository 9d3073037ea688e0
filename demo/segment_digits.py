"""Segment handwritten digits with RepMLPNet, before and after merging.

Trains a RepMLPNet with a small decoder, in plain PyTorch, to find the strokes
of digits under noise and uneven light; merges it; and draws the masks of both
forms for digits that they were not trained on.
"""
from __future__ import annotations

from repmlp_lite.signals import exit_on_stop

if __name__ == '__main__':
    exit_on_stop()  # before the other imports

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from segmentation import Segmenter, best_threshold_iou, iou, make_scenes, train
from torch import Tensor

from mmcls_repmlp import reparameterize
from repmlp_lite.command_line.run_tool import run_tool
from repmlp_lite.errors import UserError
from repmlp_lite.files import atomic_write, check_writable

_SCENES = 64  # to test on
_DRAWN = 3
_TEST_SEED = 1_000_000  # beyond those of training
_PAPER, _INK = '#f4f5f7', '#1f6feb'


class Outcome(NamedTuple):
    """Scenes, their true masks, and the logits of both forms.

    All of shape (N, 1, H, W).
    """
    images: Tensor
    masks: Tensor
    before: Tensor
    after: Tensor


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', type=Path, help='picture to write, a PNG')
    parser.add_argument(
        '--steps', type=int, default=200, help='of training; default: 200')
    parser.add_argument(
        '--force', action='store_true', help='replace an existing file')
    return run_tool(parser, _segment, parser.parse_args(argv))


def _segment(out: Path, steps: int, force: bool) -> None:
    if steps < 1:
        raise UserError(f'--steps {steps} is too few: take at least 1')
    check_writable(out, force)
    outcome = segment(steps)
    difference = (outcome.before - outcome.after).abs().max()
    flipped = ((outcome.before > 0) != (outcome.after > 0)).sum()
    print(f'{_SCENES} scenes of other digits than those trained on\n'
          f'IoU of the foreground, best threshold: '
          f'{best_threshold_iou(outcome.images, outcome.masks):.4f}\n'
          f'IoU of the foreground, training form:  '
          f'{iou(outcome.before > 0, outcome.masks):.4f}\n'
          f'IoU of the foreground, deploy form:    '
          f'{iou(outcome.after > 0, outcome.masks):.4f}\n'
          f'pixels whose mask differs:             '
          f'{flipped} of {outcome.masks.numel()}\n'
          f'largest difference of a logit:         {difference:.1e} '
          f'(largest logit {outcome.before.abs().max():.1f})')
    draw(outcome, out, force)
    print(f'picture: {out}')


def segment(steps: int) -> Outcome:
    """Train, merge, and run both forms on scenes for testing."""
    torch.manual_seed(0)
    model = Segmenter()
    train(model, steps)
    images, masks = make_scenes(_SCENES, False, _TEST_SEED)
    with torch.no_grad():
        return Outcome(images, masks, model(images),
                       reparameterize(model)(images))


def draw(outcome: Outcome, path: Path, force: bool = False) -> None:
    """Draw the first scenes: image, masks, difference of the logits.

    Args:
        outcome: The scenes and logits.
        path: The file.
        force: Whether an existing file is replaced. Defaults to False.
    """
    masks = ListedColormap([_PAPER, _INK])
    difference = (outcome.before - outcome.after).abs()
    scale = dict(cmap='magma', vmin=0, vmax=float(difference.max()))
    columns = {
        'image': (outcome.images, dict(cmap='gray')),
        'true mask': (outcome.masks, dict(cmap=masks)),
        'training form': (outcome.before > 0, dict(cmap=masks)),
        'deploy form': (outcome.after > 0, dict(cmap=masks)),
        'difference of logits': (difference, scale),
    }
    figure = Figure((13, 4.1), layout='constrained')
    axes = figure.subplots(_DRAWN, len(columns))
    for column, (title, (values, style)) in zip(axes.T, columns.items()):
        column[0].set_title(title, fontsize='medium')
        for cell, value in zip(column, values):
            image = cell.imshow(
                value[0].numpy(), interpolation='nearest', **style)
            cell.axis('off')
    figure.colorbar(image, ax=axes, shrink=0.9, pad=0.01)
    with atomic_write(path, force) as temporary:
        figure.savefig(temporary, format='png', dpi=100)


if __name__ == '__main__':
    sys.exit(main())
