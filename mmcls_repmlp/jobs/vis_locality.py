"""Draw what merging does to fc3, for one output of one block."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from mmcls_repmlp.models import RepMLPBlock
from mmcls_repmlp.reparam.locality import Locality, locality, repmlp_blocks
from repmlp_lite.errors import UserError
from repmlp_lite.files import atomic_write, check_suffix, check_writable

from .shared.config import config_errors
from .shared.source import open_source

_FRAME = '#39ff14'
_SUFFIX = '.repmlp_block'
_MARK = 75  # points that all marks in a row would take
_DIM = 0.05  # share of weights that may be darker than the scale shows


def vis_locality(config: str | Path,
                 checkpoint: str | Path,
                 out: str | Path,
                 block: str | None = None,
                 position: Sequence[int] | None = None,
                 shareset: int = 0,
                 over_training: Sequence[str | Path] = (),
                 key: str | None = None,
                 cfg_options: Mapping[str, Any] | None = None,
                 force: bool = False,
                 report: Callable[[str], None] = print) -> list[Locality]:
    """Draw the weights of one output of fc3, before and after merging.

    Args:
        config: Path of the config.
        checkpoint: Path or URL of the training checkpoint.
        out: PNG to draw to.
        block: STAGE.INDEX, or the name of a module. Defaults to the first.
        position: Row and column of the output. Defaults to the centre.
        shareset: Its shareset. Defaults to 0.
        over_training: Earlier checkpoints, to be drawn left of
            ``checkpoint``, a column for each. Defaults to none.
        key: Entry of the checkpoint that holds the weights. Defaults to the
            only one.
        cfg_options: Settings to change in the config. Defaults to none.
        force: Whether ``out`` may be replaced. Defaults to False.
        report: Called with what is drawn, in numbers. Defaults to print.

    Returns:
        The weights, in the order of the columns.

    Raises:
        UserError: If a file is not usable, is in deploy form, or there is no
            such output.
    """
    check_suffix(out, ('.png', ), 'the picture')
    check_writable(out, force)
    found, titles = [], []
    for path in (*over_training, checkpoint):
        source = open_source(config, path, key, cfg_options)
        name, module = _block(source.load_model(either_form=True), block)
        with config_errors(f'block {name} of {path} cannot be drawn'):
            found.append(
                locality(
                    module, None if position is None else
                    (position[0], position[1]), shareset))
        titles.append(_title(source.content, path))
        report(f'{titles[-1]}: {_describe(found[-1])}')
    with atomic_write(out, force) as temporary:
        _draw(found, titles, name).savefig(temporary, format='png', dpi=110)
    report(f'drawn to {out}')
    return found


def _block(model: BaseModel, wanted: str | None) -> tuple[str, RepMLPBlock]:
    blocks = repmlp_blocks(model)
    if not blocks:
        raise UserError('the model of the config has no RepMLP block')
    for name, block in blocks.items():
        if wanted is None or wanted in (name, _short(name)):
            return _short(name), block
    raise UserError(f'the model has no block {wanted!r}: choose from '
                    f'{", ".join(map(_short, blocks))}')


def _short(name: str) -> str:
    """Call 'backbone.stages.1.0.repmlp_block' 1.0, and others as they are."""
    return name.partition('stages.')[2].removesuffix(_SUFFIX) or name


def _title(content: Any, source: str | Path) -> str:
    epoch = meta_of(content).get('epoch')
    return Path(source).stem if epoch is None else f'epoch {epoch}'


def _describe(found: Locality) -> str:
    before, after = (
        float(squares[found.window].sum() / squares.sum())
        for squares in (found.before.square(), found.after.square()))
    k = found.kernel_size
    return (f'{before:.0%} of the sum of squared weights lies within '
            f'{k}x{k} before merging, {after:.0%} after')


def _draw(found: Sequence[Locality], titles: Sequence[str],
          block: str) -> Figure:
    first, many = found[0], len(found) > 1
    size = first.before.shape
    figure, panels = _panels(size, len(found))
    scale = _scale(found)
    for each, pair in zip(found, panels):
        for axes, weights in zip(pair, (each.before, each.after)):
            image = _draw_map(axes, weights, each, scale)
    for axes, when in zip(panels[0], ('before merging', 'after merging')):
        (axes.set_ylabel if many else axes.set_title)(when)
    for (axes, _), title in zip(panels, titles):
        if many:
            axes.set_title(title)
    figure.colorbar(
        image,
        ax=[axes for pair in panels for axes in pair],
        label='log$_{10}$ |weight|',
        shrink=0.9,
        extend='min')
    figure.suptitle(
        f'How output ({first.position[0]}, {first.position[1]}) of fc3 weighs '
        f'its {size[0]}x{size[1]} inputs\nblock {block}, shareset '
        f'{first.shareset}' + ('' if many else f', {titles[0]}'))
    figure.legend(
        *panels[0][0].get_legend_handles_labels(),
        ncols=2,
        loc='outside lower center',
        frameon=False)
    return figure


def _panels(size: Sequence[int],
            count: int) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """Place pairs of panels: one side by side, several in columns."""
    rows, columns = (1, 2) if count == 1 else (2, count)
    height = 3.2 if rows == 1 else 2.4
    width = height * min(2., max(0.5, size[1] / size[0]))
    figure = Figure((columns * width + 1.4, rows * (height + 0.3) + 0.9),
                    layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False)
    pairs = axes.tolist() if rows == 1 else axes.T.tolist()
    return figure, [tuple(pair) for pair in pairs]


def _scale(found: Sequence[Locality]) -> Normalize:
    every = torch.cat([
        weights.abs().log10().flatten() for each in found
        for weights in (each.before, each.after)
    ])
    every = every[every.isfinite()]  # a weight may be 0
    return Normalize(float(every.quantile(_DIM)), float(every.max()))


def _draw_map(axes: Axes, weights: Tensor, found: Locality,
              scale: Normalize) -> AxesImage:
    image = axes.imshow(
        weights.abs().log10().clamp_min(float(scale.vmin or 0.)).numpy(),
        cmap='magma',
        norm=scale)
    (rows, columns), k = found.window, found.kernel_size
    corner = columns.start - 0.5, rows.start - 0.5
    sides = columns.stop - columns.start, rows.stop - rows.start
    frame: dict[str, Any] = dict(fill=False, lw=2, color=_FRAME, clip_on=False)
    reach = f'reach of the {k}x{k} convolution'
    axes.add_patch(Rectangle(corner, *sides, label=reach, **frame))
    mark = min(7, max(2.5, _MARK / max(weights.shape)))
    axes.plot(
        *reversed(found.position),
        'x',
        color=_FRAME,
        ms=mark,
        mew=mark / 3.5,
        ls='',
        label='the output itself')
    axes.set(xticks=[], yticks=[])
    return image
