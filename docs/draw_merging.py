"""Draw docs/merging.png: a convolution that becomes part of an FC layer.

The numbers are random, the arithmetic is the package's own.
"""
from __future__ import annotations

import functools
from pathlib import Path

import matplotlib
import torch
from matplotlib import pyplot as plt
from matplotlib.patches import FancyArrowPatch

from mmcls_repmlp.ops import conv_to_fc

SIZE = (5, 5)
OUT = Path(__file__).with_name('merging.png')
PANELS = ((0.03, 'fully connected layer', 'every output sees every input'),
          (0.30, '3x3 convolution', 'written as a matrix'),
          (0.74, 'merged layer', 'one product, the same outputs'))
LEGEND = ('A row is an output position of a 5x5 partition, a column an input '
          'position; blue is positive, red negative.')


def main() -> None:
    """Draw the picture."""
    matplotlib.use('agg')
    generator = torch.Generator().manual_seed(4)
    fc = 0.25 * torch.randn(25, 25, generator=generator)
    kernel = torch.tensor([[0.3, 0.6, 0.3], [0.6, 1.2, 0.6], [0.3, 0.6, 0.3]])
    conv = conv_to_fc(kernel[None, None], SIZE)
    figure = plt.figure(figsize=(11, 4.1))
    for (left, title, below), matrix in zip(PANELS, (fc, conv, fc + conv)):
        axes = figure.add_axes([left, 0.2, 0.23, 0.6])
        axes.imshow(matrix, cmap='RdBu', vmin=-1.2, vmax=1.2)
        axes.set(xticks=[], yticks=[])
        axes.set_title(title, fontsize=12)
        axes.set_xlabel(below, fontsize=10, color='#444444')
    text = functools.partial(figure.text, ha='center', fontsize=13)
    text(0.28, 0.5, '+', va='center', fontsize=24)
    figure.patches.append(
        FancyArrowPatch((0.56, 0.5), (0.71, 0.5),
                        transform=figure.transFigure,
                        arrowstyle='-|>',
                        mutation_scale=24,
                        linewidth=2,
                        color='#222222'))
    text(0.63, 0.55, 'switch_to_deploy()', fontsize=10, family='monospace')
    text(0.28, 0.93, 'in training: both, side by side', weight='bold')
    text(0.855, 0.93, 'deployed: one', weight='bold')
    text(0.5, 0.03, LEGEND, fontsize=9, color='#444444')
    figure.savefig(OUT, dpi=110)


if __name__ == '__main__':
    main()
