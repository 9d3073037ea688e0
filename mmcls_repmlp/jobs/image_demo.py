"""Classify images: print the likeliest classes, draw or tabulate them."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmcls_repmlp.host import (Caption, DataSample, Visualizer, draw,
                               pred_labels, pred_scores)
from repmlp_lite.batch_predict import (BATCH_SIZE, TOP, Outcome, batch_predict,
                                       check_batch_options)
from repmlp_lite.errors import UserError
from repmlp_lite.files import atomic_write, check_suffix, check_writable
from repmlp_lite.image_files import find_images
from repmlp_lite.results import SUFFIXES

from .shared.classifier import Classifier, read_image
from .shared.pictures import readable, white

_HEAD = ('class', ' score')
_COLUMNS = 'label, score (class)'  # as the host draws them
_PICTURES = ('.png', '.jpg', '.jpeg')
_SCALE = 224  # a picture of this height has letters of the size below
_LETTERS, _PITCH, _LINE, _MARGIN = 8, 7, 16, 8


def classify_images(images: Sequence[str | Path],
                    config: str | Path | None,
                    checkpoint: str | Path,
                    out: str | Path | None = None,
                    device: str = 'cpu',
                    key: str | None = None,
                    cfg_options: Mapping[str, Any] | None = None,
                    force: bool = False,
                    batch_size: int = BATCH_SIZE,
                    top_k: int = TOP,
                    report: Callable[[str], None] = print) -> None:
    """Classify images as the config's test pipeline prepares them.

    Args:
        images: Image files, folders and patterns, as
            :func:`repmlp_lite.image_files.find_images` takes them. A single
            image is reported as by :func:`classify_image`.
        config: Path of the config; None for the one in the checkpoint.
        checkpoint: Path or URL of a checkpoint, in the form of the config.
        out: Table to write, .csv or .json; of a single image, also a picture
            to draw, .png or .jpg. Defaults to none.
        device: Where the model runs. Defaults to 'cpu'.
        key: Checkpoint entry with the weights. Defaults to the only one.
        cfg_options: Settings to change in the config. Defaults to none.
        force: Whether ``out`` may be replaced. Defaults to False.
        batch_size: Images that the model is given at a time. Defaults to 16.
        top_k: How many classes are reported. Defaults to 5.
        report: Called with a line for every image, or of the table. Defaults
            to print.

    Raises:
        UserError: If something given is not usable.
        JobFailedError: If images cannot be read and were skipped. All others
            have been reported and written then.
    """
    check_batch_options(batch_size, top_k)
    if out is not None:
        check_suffix(out, (*_PICTURES, *SUFFIXES), 'a picture or a table')
        check_writable(out, force, config, *images)
    found = find_images(images)
    drawn = Path(out or '').suffix.lower() in _PICTURES
    if len(found) == 1 and (drawn or out is None):
        classify_image(found[0], config, checkpoint, out, device, key,
                       cfg_options, force, report, top_k)
        return
    if drawn:
        raise UserError(f'{len(found)} images cannot be drawn as one picture '
                        f'{str(out)!r}: end its name in '
                        f'{" or ".join(SUFFIXES)} for a table')
    classifier = Classifier(config, checkpoint, device, key, cfg_options)

    def run(_: list[Path], samples: list[Any]) -> list[Outcome]:
        return [
            classifier.top(sample, top_k) for sample in classifier.run(samples)
        ]

    batch_predict(found, classifier.prepare, run, batch_size, out, force)


def classify_image(image: str | Path,
                   config: str | Path | None,
                   checkpoint: str | Path,
                   out: str | Path | None = None,
                   device: str = 'cpu',
                   key: str | None = None,
                   cfg_options: Mapping[str, Any] | None = None,
                   force: bool = False,
                   report: Callable[[str], None] = print,
                   top_k: int = TOP) -> list[tuple[str, float]]:
    """Classify an image as the config's test pipeline prepares it.

    Args:
        image: The file.
        config: Path of the config; None for the one in the checkpoint.
        checkpoint: Path or URL of a checkpoint, in the form of the config.
        out: Picture to draw, .png or .jpg. Defaults to none.
        device: Where the model runs. Defaults to 'cpu'.
        key: Checkpoint entry with the weights. Defaults to the only one.
        cfg_options: Settings to change in the config. Defaults to none.
        force: Whether ``out`` may be replaced. Defaults to False.
        report: Called with the names of the columns, and a line for each
            class. Defaults to print.
        top_k: How many classes are reported. Defaults to 5.

    Returns:
        Names and scores of the likeliest classes, best first. Names are the
        checkpoint's, else the data set's, else the labels.

    Raises:
        UserError: If something given is not usable.
        ImageError: If the image cannot be read.
    """
    check_batch_options(1, top_k)
    if out is not None:
        check_suffix(out, _PICTURES, 'a picture')
        check_writable(out, force, image)
    pixels = read_image(image)
    classifier = Classifier(config, checkpoint, device, key, cfg_options)
    predicted, = classifier.run([classifier.prepare(image)])
    top = classifier.top(predicted, top_k)
    width = max(len(name) for name, _ in (_HEAD, *top))
    report(f'{_HEAD[0]:{width}}  {_HEAD[1]}')
    for name, score in top:
        report(f'{name:{width}}  {score:6.1%}')
    if out is not None:
        labels = pred_scores(predicted).topk(len(top)).indices
        with atomic_write(out, force) as temporary:
            _draw(pixels, predicted.set_pred_label(labels), classifier,
                  temporary)
        report(f'drawn to {out}')
    return top


def _draw(pixels: np.ndarray, predicted: DataSample, classifier: Classifier,
          path: Path) -> None:
    """Set the classes beside the image, so that they hide nothing of it."""
    pixels = readable(pixels)
    height, width = pixels.shape[:2]
    scale = height / _SCALE
    names = [
        classifier.name(label) for label in range(len(pred_scores(predicted)))
    ]
    longest = max(
        len(names[label]) for label in pred_labels(predicted).tolist())
    letters = len('Prediction: ') + max(
        len(_COLUMNS),
        len('123, 0.00 ()') + longest)
    column = white(height, round((letters * _PITCH + 2 * _MARGIN) * scale))
    visualizer = Visualizer()
    visualizer.dataset_meta = dict(classes=names)
    x, y, size = width + _MARGIN * scale, _MARGIN * scale, _LETTERS * scale
    visualizer.set_image(np.hstack([pixels, column]))
    visualizer.draw_texts(
        _COLUMNS,
        np.array([(x + len('Prediction: ') * _PITCH * scale, y)]),
        font_sizes=size,
        colors='grey',
        font_families='monospace')
    draw(
        visualizer,
        visualizer.get_image(),
        predicted,
        path,
        draw_gt=False,
        caption=Caption((x, y + _LINE * scale), size))
