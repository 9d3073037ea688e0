"""Draw the weights of one output of a layer, before and after merging."""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from mmengine.model import BaseModel
from torch import Tensor

from mmcls_repmlp.checkpoints import meta_of
from mmcls_repmlp.reparam.locality import (LocalBlock, Locality, local_blocks,
                                           locality)
from repmlp_lite.console import say
from repmlp_lite.errors import UserError
from repmlp_lite.files import atomic_write, check_suffix, check_writable

from .shared.config import config_errors
from .shared.source import open_source

_FRAME: dict[str, Any] = dict(fill=False, lw=2, color='#39ff14', clip_on=False)
_MARK: dict[str, Any] = dict(color='#39ff14', ls='', label='the output itself')
_SHORT = re.compile(r'\.(?:repmlp_block|linear_tokens)$')
_DIM = 0.05  # share of weights that may be darker than the scale shows


def vis_locality(config: str | Path,
                 checkpoint: str | Path,
                 out: str | Path,
                 *,
                 block: str | None = None,
                 position: Sequence[int] | None = None,
                 shareset: int = 0,
                 over_training: Sequence[str | Path] = (),
                 key: str | None = None,
                 cfg_options: Mapping[str, Any] | None = None,
                 force: bool = False) -> list[Locality]:
    """Draw the weights of one output of a layer over positions.

    They are those before and after merging the convolutions beside it.

    Args:
        config: Path of the config.
        checkpoint: Training checkpoint, as of :func:`open_source`.
        out: PNG to draw to.
        block: STAGE.INDEX, or the name of a module. Defaults to the first.
        position: Row and column of the output. Defaults to the centre.
        shareset: Its shareset. Defaults to 0.
        over_training: Earlier checkpoints, a row each. Defaults to none.
        key: As of :func:`open_source`.
        cfg_options: As of :func:`open_source`.
        force: Whether ``out`` may be replaced. Defaults to False.

    Returns:
        The weights, in the order of the rows.

    Raises:
        UserError: If a file or its form cannot be used, or there is no such
            output.
    """
    check_suffix(out, ('.png', ), 'the picture')
    check_writable(out, force)
    rows, titles = [], []
    for path in (*over_training, checkpoint):
        source = open_source(config, path, key, cfg_options)
        name, module = _find_block(source.load_model(either_form=True), block)
        with config_errors(f'block {name} of {path} cannot be drawn'):
            at = None if position is None else (position[0], position[1])
            rows.append(locality(module, at, shareset))
        epoch = meta_of(source.content).get('epoch')
        titles.append(Path(path).stem if epoch is None else f'epoch {epoch}')
        say(f'{titles[-1]}: {_describe(rows[-1])}')
    with atomic_write(out, force) as temporary:
        _draw(rows, titles, name).savefig(temporary, format='png', dpi=110)
    say(f'drawn to {out}')
    return rows


def _find_block(model: BaseModel,
                wanted: str | None) -> tuple[str, LocalBlock]:
    """Find a block by its full name, or a name such as 1.0."""
    blocks = {}
    for name, block in local_blocks(model).items():
        short = _SHORT.sub('', name.partition('stages.')[2])
        blocks[short or name] = block
        if wanted in (None, name, short):
            return short or name, block
    if not blocks:
        raise UserError('the model of the config has no RepMLP block and no '
                        'layer with convolutions: give a training checkpoint '
                        'and its config')
    raise UserError(f'the model has no block {wanted!r}: choose from '
                    f'{", ".join(blocks)}')


def _describe(row: Locality) -> str:
    before, after = (
        float(squares[row.window].sum() / squares.sum())
        for squares in (row.before.square(), row.after.square()))
    k = row.kernel_size
    return (f'{before:.0%} of the sum of squared weights lies within '
            f'{k}x{k} before merging, {after:.0%} after')


def _draw(rows: Sequence[Locality], titles: Sequence[str],
          block: str) -> Figure:
    first = rows[0]
    height, width = first.before.shape
    side = 3.2 * min(2., max(0.5, width / height))
    figure = Figure((2 * side + 1.4, 3.5 * len(rows) + 0.9),
                    layout='constrained')
    panels = figure.subplots(len(rows), 2, squeeze=False)
    scale = _scale(rows)
    for row, title, pair in zip(rows, titles, panels):
        for axes, weights in zip(pair, (row.before, row.after)):
            image = _draw_map(axes, weights, row, scale)
        pair[0].set_ylabel(title)
    for axes, title in zip(panels[0], ('before merging', 'after merging')):
        axes.set_title(title)
    figure.colorbar(
        image, ax=panels, label='log$_{10}$ |weight|', extend='min')
    figure.suptitle(f'Weights of output {first.position}, for its '
                    f'{height}x{width} inputs\nblock {block}, shareset '
                    f'{first.shareset}')
    names = panels[0][0].get_legend_handles_labels()
    figure.legend(*names, ncols=2, loc='outside lower center', frameon=False)
    return figure


def _scale(rows: Sequence[Locality]) -> Normalize:
    logs = torch.cat([
        weights.abs().log10().flatten() for row in rows
        for weights in (row.before, row.after)
    ])
    logs = logs[logs.isfinite()]  # a weight may be 0
    return Normalize(float(logs.quantile(_DIM)), float(logs.max()))


def _draw_map(axes: Axes, weights: Tensor, row: Locality,
              scale: Normalize) -> AxesImage:
    logs = weights.abs().log10().clamp_min(scale.vmin or 0.)
    image = axes.imshow(logs.numpy(), cmap='magma', norm=scale)
    (ys, xs), k = row.window, row.kernel_size
    axes.add_patch(
        Rectangle((xs.start - 0.5, ys.start - 0.5),
                  xs.stop - xs.start,
                  ys.stop - ys.start,
                  label=f'reach of the {k}x{k} convolution',
                  **_FRAME))
    size = min(7, max(2.5, 75 / max(weights.shape)))
    axes.plot(*reversed(row.position), 'x', ms=size, **_MARK)
    axes.set(xticks=[], yticks=[])
    return image
