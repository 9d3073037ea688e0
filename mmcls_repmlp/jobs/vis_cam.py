"""Draw which parts of images speak for a class (class activation maps)."""
from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch.nn.functional as F  # noqa: N812
from matplotlib.figure import Figure
from mmengine.dataset import default_collate
from mmengine.model import BaseModel
from torch import Tensor

from mmcls_repmlp.host import pred_scores
from mmcls_repmlp.models.backbone import MergeableBackbone
from repmlp_lite.batch_predict import Outcome, batch_predict
from repmlp_lite.command_line.choices import CAM_METHODS
from repmlp_lite.console import say
from repmlp_lite.errors import (UserError, describe, is_out_of_memory, option,
                                shorten)
from repmlp_lite.files import atomic_write, check_suffix, check_writable
from repmlp_lite.image_files import find_images

from .shared.classifier import Classifier, Prepared, pipeline_errors
from .shared.pictures import PictureNames, check_folder, fonts_for, to_picture
from .shared.source import open_source

_MOST, _PAIRS = 24, 3  # images in one picture, and in a row of it
_LONGEST = 22  # letters above an image
_RED, _OPACITY = (1, 0, 0, 0), (0, 0, 0, 0.75)  # at the strongest place


class _Explanation(NamedTuple):
    name: str  # of the image file
    picture: np.ndarray  # input of the model, RGB of (H, W, 3), uint8
    strength: np.ndarray  # the map, scaled up to (H, W), between 0 and 1
    cells: tuple[int, ...]  # rows and columns of the map itself
    top: list[tuple[str, float]]  # the predicted class and the explained one


def vis_cam(images: Sequence[str | Path],
            config: str | Path | None,
            checkpoint: str | Path,
            out: str | Path,
            *,
            method: str = 'gradcam',
            layer: str | None = None,
            target: str | None = None,
            device: str = 'cpu',
            key: str | None = None,
            cfg_options: Mapping[str, Any] | None = None,
            force: bool = False) -> list[Path]:
    """Draw images as the test pipeline prepares them, without and with maps.

    Args:
        images: Image files, folders and patterns, as of :func:`find_images`.
        config: As of :func:`open_source`.
        checkpoint: As of :func:`open_source`, in the form of the config.
        out: Picture of all images, 24 at most, .png or .jpg; or a folder, new
            or empty, for a picture of each.
        method: 'gradcam', 'layercam' or 'scorecam'. Defaults to 'gradcam'.
        layer: Module whose map is drawn. Defaults to the one before the head.
        target: Name or number of a class. Defaults to the predicted one.
        device: Where the model runs. Defaults to 'cpu'.
        key: As of :func:`open_source`.
        cfg_options: As of :func:`open_source`.
        force: Whether existing pictures are replaced. Defaults to False.

    Returns:
        The files written.

    Raises:
        UserError: If an argument cannot be used.
        JobFailedError: If images could not be read; all others are drawn.
    """
    if find_spec('torchcam') is None:
        raise UserError('class activation maps need torchcam, which is not '
                        'installed: run pip install "mmcls_repmlp[cam]"')
    found, out = find_images(images), Path(out)
    per_picture = 1 if out.is_dir() or not out.suffix else _MOST
    if per_picture == 1:
        check_folder(out, force)
    else:
        check_suffix(out, ('.png', '.jpg', '.jpeg'), 'a picture')
        check_writable(out, force, *found)
        if len(found) > _MOST:
            raise UserError(f'{len(found)} images are too many for one picture'
                            f' of {_MOST}: name a folder, not {str(out)!r}')
    source = open_source(config, checkpoint, key, cfg_options)
    classifier = Classifier(source, device)
    layer = find_layer(classifier.model, layer)
    explain = partial(_explain, classifier, layer, method, target)
    names = PictureNames(
        os.path.commonpath([path.absolute().parent for path in found]))
    written: list[Path] = []

    def run(paths: list[Path], prepared: list[Prepared]) -> list[Outcome]:
        explained = [*map(explain, paths, prepared)]
        path = out if per_picture > 1 else out / names.of(
            paths[0].absolute(), len(written))
        texts = [text for item in explained for text, _ in item.top]
        with atomic_write(path, force) as temporary, fonts_for(texts):
            _draw(explained, f'{CAM_METHODS[method]} at {layer}').savefig(
                temporary, dpi=100)
        written.append(path)
        return [[*dict.fromkeys(item.top)] for item in explained]

    try:
        batch_predict(found, classifier.prepare, run, batch_size=per_picture)
    finally:
        if written:
            say(f'drawn to {out}')
    return written


def find_layer(model: BaseModel, name: str | None = None) -> str:
    """Name a module in full; it defaults to the one whose map heads take."""
    if name is not None:
        modules = dict(model.named_modules())
        return name if name in modules else f'backbone.{name}'
    if not isinstance(model.backbone, MergeableBackbone):
        raise UserError('the layer whose map the head takes is not known of '
                        f'this backbone: name it with {option("layer", ...)}')
    last = model.backbone.feature_info[model.backbone.out_indices[-1]]
    return f'backbone.{last["module"]}'


def activation_map(model: BaseModel, image: Tensor, label: int, layer: str,
                   method: str) -> Tensor:
    """Compute how much each cell of a layer's map speaks for a class.

    From the input of the backbone, shape (1, C, H, W), a map (h, w), not
    negative. Raises UserError if the layer gives none.
    """
    cam: Any = getattr(import_module('torchcam.methods'), CAM_METHODS[method])
    try:
        with cam(model, layer) as extract:
            # The gradient passes weights that are frozen.
            scores = model(image.detach().requires_grad_())
            (cells, ), = extract([label], scores, normalized=False)
        if cells.dim() != 2 or cells.shape == (1, 1):
            raise ValueError('its output has no height and width')
    except Exception as error:  # of any class, by what the layer returns
        if is_out_of_memory(error.__cause__ or error):
            raise
        raise UserError(f'{layer} gives no map on which the scores depend '
                        f'({describe(error)}): name another module, such as '
                        'a stage of the backbone') from error
    return cells.detach()


def _explain(classifier: Classifier, layer: str, method: str,
             target: str | None, path: Path,
             prepared: Prepared) -> _Explanation:
    model = classifier.model
    picture = to_picture(prepared.shown, prepared.bgr)
    scores = pred_scores(classifier.run([prepared])[0])
    best = int(scores.argmax())
    label = best if target is None else classifier.label(target, len(scores))
    with pipeline_errors():
        batch = default_collate([prepared.sample])
        image = model.data_preprocessor(batch, False)['inputs']
    cells = activation_map(model, image, label, layer, method)
    padded = [*image.shape[2:]]
    if getattr(model.backbone, 'pad_to_multiple', False):
        padded = [s + -s % k for s, k in zip(padded, model.backbone.img_size)]
    large = F.interpolate(cells[None, None], padded, mode='bilinear')[0, 0]
    visible = large[:picture.shape[0], :picture.shape[1]]
    strength = (visible / (visible.max() or 1)).float().cpu().numpy()
    top = [(classifier.name(i), float(scores[i])) for i in (best, label)]
    return _Explanation(path.name, picture, strength, tuple(cells.shape), top)


def _draw(explained: Sequence[_Explanation], title: str) -> Figure:
    columns = min(_PAIRS, len(explained))
    rows = math.ceil(len(explained) / columns)
    size = 3.8 * columns + 0.3, 2.4 * rows + 0.4
    figure = Figure(size, layout='constrained')
    axes = figure.subplots(rows, 2 * columns, squeeze=False)
    for panel in axes.flat:
        panel.set_axis_off()
    for item, pair in zip(explained, axes.reshape(-1, 2)):
        what = 'what' if item.strength.any() else 'nothing'
        above = item.name, f'{what} speaks for'
        for panel, text, (name, score) in zip(pair, above, item.top):
            panel.imshow(item.picture)
            text = f'{shorten(text, _LONGEST)}\n{shorten(name, _LONGEST)}'
            panel.set_title(f'{text} ({score:.1%})', size=9, parse_math=False)
        overlay = _RED + item.strength[..., None] * _OPACITY
        pair[1].imshow(overlay, interpolation='bilinear')
    figure.suptitle(title + ', a map of {}x{}'.format(*explained[0].cells))
    return figure
