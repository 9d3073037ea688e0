"""Draw which parts of images speak for a class."""
from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure
from mmengine.dataset import default_collate

from mmcls_repmlp.host import pred_scores
from mmcls_repmlp.jobs.shared.classifier import (Classifier, Prepared,
                                                 pipeline_errors)
from mmcls_repmlp.jobs.shared.picture_names import PictureNames
from mmcls_repmlp.jobs.shared.pictures import check_folder
from repmlp_lite.batch_predict import Outcome, batch_predict
from repmlp_lite.command_line.choices import CAM_METHODS
from repmlp_lite.errors import JobFailedError, UserError, first_few, shorten
from repmlp_lite.files import atomic_write, check_suffix, check_writable
from repmlp_lite.image_files import find_images

from .activation_map import (activation_map, check_method, find_layer,
                             spread_over)

_PICTURES = ('.png', '.jpg', '.jpeg')
_MOST = 24  # images in one picture
_DPI = 100
_PAIRS = 3  # images in a row of it
_SIDE = 1.9  # inches
_LONGEST = 22  # letters above an image
_COLOR, _OPAQUE = 'red', 0.75  # the latter at the strongest place


class Explained(NamedTuple):
    """What is drawn of an image.

    Attributes:
        image: Its file.
        picture: What the model sees of it: RGB of shape (H, W, 3), uint8.
        strength: How much each pixel speaks for the class, of shape (H, W),
            between 0 and 1.
        cells: Rows and columns of the map that this was made of.
        predicted: Name and score of the likeliest class.
        target: Name and score of the class that is explained.
    """
    image: Path
    picture: np.ndarray
    strength: np.ndarray
    cells: tuple[int, int]
    predicted: tuple[str, float]
    target: tuple[str, float]


def vis_cam(images: Sequence[str | Path],
            config: str | Path | None,
            checkpoint: str | Path,
            out: str | Path,
            method: str = 'gradcam',
            layer: str | None = None,
            target: str | None = None,
            device: str = 'cpu',
            key: str | None = None,
            cfg_options: Mapping[str, Any] | None = None,
            force: bool = False,
            report: Callable[[str], None] = print) -> list[Path]:
    """Draw class activation maps over images.

    Each image is drawn as the config's test pipeline prepares it, which may
    have cut its edges off, and once more under the map.

    Args:
        images: Image files, folders and patterns, as
            :func:`repmlp_lite.image_files.find_images` takes them.
        config: Path of the config; None for the one in the checkpoint.
        checkpoint: Path or URL of a checkpoint, in the form of the config.
        out: Picture of all images, 24 at most, .png or .jpg; or a folder, new
            or empty, for a picture of each.
        method: 'gradcam', 'layercam' or 'scorecam'. Defaults to 'gradcam'.
        layer: Name of the module whose map is drawn, in the model or its
            backbone. Defaults to what gives the map that the head takes.
        target: Name or number of the class to explain. Defaults to the
            predicted one of each image.
        device: Where the model runs. Defaults to 'cpu'.
        key: Entry of the checkpoint that holds the weights. Defaults to the
            only one.
        cfg_options: Settings to change in the config. Defaults to none.
        force: Whether what ``out`` names may be replaced. Defaults to False.
        report: Called with a line for every image, and what is drawn.
            Defaults to print.

    Returns:
        The files written.

    Raises:
        UserError: If something given is not usable.
        JobFailedError: If images cannot be read and were skipped. All others
            have been drawn then.
    """
    check_method(method)
    found = find_images(images)
    pictures = _Pictures(Path(out), found, force)
    classifier = Classifier(config, checkpoint, device, key, cfg_options)
    layer = find_layer(classifier.model, layer)
    pictures.title = f'{CAM_METHODS[method]} at {layer}'

    def run(paths: list[Path], prepared: list[Prepared]) -> list[Outcome]:
        one = _explain(classifier, paths[0], prepared[0], layer, method,
                       target)
        pictures.add(one)
        return [[*dict.fromkeys((one.predicted, one.target))]]

    skipped = None
    try:
        batch_predict(found, classifier.prepare_and_show, run, 1)
    except JobFailedError as error:  # what could be read is drawn
        skipped = error
    pictures.finish()
    if pictures.written:
        report(f'drawn to {out}')
    if skipped is not None:
        raise skipped
    return pictures.written


def _explain(classifier: Classifier, image: Path, prepared: Prepared,
             layer: str, method: str, target: str | None) -> Explained:
    model, batch = classifier.model, default_collate([prepared.sample])
    scores = pred_scores(classifier.run([prepared.sample])[0])
    best = int(scores.argmax())
    label = best if target is None else _label(classifier, target, len(scores))
    with pipeline_errors():
        inputs = model.data_preprocessor(batch, False)['inputs']
    maps = activation_map(model, inputs, [label], layer, method)
    height, width = prepared.picture.shape[:2]
    # A preprocessor may have padded the image below and to the right.
    spread = spread_over(model, maps, inputs.shape[2:])[0, :height, :width]
    predicted, explained = ((classifier.name(each), float(scores[each]))
                            for each in (best, label))
    return Explained(image, prepared.picture,
                     spread.cpu().numpy(), (maps.shape[1], maps.shape[2]),
                     predicted, explained)


def _label(classifier: Classifier, target: str, count: int) -> int:
    names = [classifier.name(label) for label in range(count)]
    if target in names:
        return names.index(target)
    if target.isdecimal() and int(target) < count:
        return int(target)
    raise UserError(f'class {target!r} is unknown: name one, such as '
                    f'{first_few(names)}, or its number from 0 to {count - 1}')


class _Pictures:
    """What is drawn: all images in one picture, or each in its own.

    Attributes:
        title: What stands above the images.
        written: The files so far.
    """

    def __init__(self, out: Path, images: Sequence[Path], force: bool) -> None:
        self.out, self.force = out, force
        self.one_each = out.is_dir() or not out.suffix
        if self.one_each:
            check_folder(out, force)
        else:
            check_suffix(out, _PICTURES, 'a picture')
            check_writable(out, force)
            if len(images) > _MOST:
                raise UserError(
                    f'{len(images)} images are too many for one picture, '
                    f'which takes {_MOST}: name a folder instead of '
                    f'{str(out)!r}')
        self.names = PictureNames(
            os.path.commonpath([path.absolute().parent for path in images]))
        self.title = ''
        self.waiting: list[Explained] = []
        self.written: list[Path] = []

    def add(self, one: Explained) -> None:
        self.waiting.append(one)
        if self.one_each:
            place = len(self.written)
            self._write(self.out / self.names.of(one.image.absolute(), place))

    def finish(self) -> None:
        if self.waiting:
            self._write(self.out)

    def _write(self, path: Path) -> None:
        with atomic_write(path, self.force) as temporary:
            _draw(self.waiting, self.title).savefig(temporary, dpi=_DPI)
        self.written.append(path)
        self.waiting = []


def _draw(explained: Sequence[Explained], title: str) -> Figure:
    columns = min(_PAIRS, len(explained))
    rows = math.ceil(len(explained) / columns)
    figure = Figure((2 * columns * _SIDE + 0.3, rows * (_SIDE + 0.5) + 1.2),
                    layout='constrained')
    axes = figure.subplots(rows, 2 * columns, squeeze=False)
    for each in axes.flat:
        each.set_axis_off()
    for one, pair in zip(explained, axes.reshape(-1, 2)):
        _draw_pair(one, *pair)
    rows_of_map, columns_of_map = explained[0].cells
    figure.suptitle(f'{title}, a map of {rows_of_map}x{columns_of_map}')
    bar = figure.colorbar(
        ScalarMappable(
            cmap=LinearSegmentedColormap.from_list('', ['white', _COLOR])),
        ax=axes,
        location='bottom',
        aspect=40,
        shrink=0.5,
        ticks=[0, 1])
    bar.ax.set_xticklabels(['nothing', 'most'])
    bar.set_label('how much a place speaks for the class, in each image')
    return figure


def _draw_pair(one: Explained, plain: Axes, covered: Axes) -> None:
    what = 'what' if one.strength.any() else 'nothing'
    for axes, said, (name,
                     score) in ((plain, _short(one.image.name), one.predicted),
                                (covered, f'{what} speaks for', one.target)):
        axes.imshow(one.picture)
        # Names of files and classes may hold a dollar, which is no formula.
        axes.set_title(
            f'{said}\n{_short(name)} ({score:.1%})',
            fontsize=9,
            parse_math=False)
    # What does not speak for the class stays as it is.
    covered.imshow(
        one.strength,
        cmap=ListedColormap([_COLOR]),
        vmin=0,
        vmax=1,
        alpha=_OPAQUE * one.strength,
        interpolation='bilinear')


def _short(text: str) -> str:
    return shorten(text, _LONGEST)
