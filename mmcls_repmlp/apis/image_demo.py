"""Classify one image: print the likeliest classes, and draw them."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, default_collate
from mmengine.model import BaseModel

from mmcls_repmlp.apis._shared.config import loader_config, user_errors
from mmcls_repmlp.apis._shared.model import fill_model
from mmcls_repmlp.apis._shared.pictures import readable, white
from mmcls_repmlp.apis._shared.recorded_config import config_for
from mmcls_repmlp.checkpoints import class_names
from mmcls_repmlp.errors import UserError
from mmcls_repmlp.files import atomic_write, check_suffix, check_writable
from mmcls_repmlp.host import (TRANSFORMS, Caption, DataSample, Visualizer,
                               build_dataset, draw, pred_labels, pred_scores)
from mmcls_repmlp.training.transforms import LoadImageFromFile

TOP = 5
_HEAD = ('class', ' score')
_COLUMNS = 'label, score (class)'  # as the host draws them
_SUFFIXES = ('.png', '.jpg', '.jpeg')
_SCALE = 224  # a picture of this height has letters of the size below
_LETTERS, _PITCH, _LINE, _MARGIN = 8, 7, 16, 8


def classify_image(
        image: str | Path,
        config: str | Path | None,
        checkpoint: str | Path,
        out: str | Path | None = None,
        device: str = 'cpu',
        key: str | None = None,
        cfg_options: Mapping[str, Any] | None = None,
        force: bool = False,
        report: Callable[[str], None] = print) -> list[tuple[str, float]]:
    """Classify an image as the config's test pipeline prepares it.

    Args:
        image: The file.
        config: Path of the config; None for the one in the checkpoint.
        checkpoint: Path or URL of a checkpoint, in the form of the config.
        out: Picture to draw, .png or .jpg. Defaults to none.
        device: Where the model runs. Defaults to 'cpu'.
        key: Entry of the checkpoint that holds the weights. Defaults to the
            only one.
        cfg_options: Settings to change in the config. Defaults to none.
        force: Whether ``out`` may be replaced. Defaults to False.
        report: Called with the names of the columns, and a line for each
            class. Defaults to print.

    Returns:
        Names and scores of the likeliest five classes, best first. Names are
        the checkpoint's, else the data set's, else the labels.

    Raises:
        UserError: If something given is not usable.
        ImageError: If the image cannot be read.
    """
    if out is not None:
        check_suffix(out, _SUFFIXES, 'a picture')
        check_writable(out, force)
    pixels = _read(image)
    cfg, checkpoint, _ = config_for(config, checkpoint, cfg_options)
    loader = loader_config(cfg, 'test')
    model, content = fill_model(cfg, checkpoint, device, key=key)
    predicted = _predict(model, loader.dataset, image)
    scores, labels = pred_scores(predicted).topk(
        min(TOP, len(pred_scores(predicted))))
    names = class_names(content) or _classes_of(loader.dataset)
    top = [(_name(label, names), score)
           for label, score in zip(labels.tolist(), scores.tolist())]
    width = max(len(name) for name, _ in (_HEAD, *top))
    report(f'{_HEAD[0]:{width}}  {_HEAD[1]}')
    for name, score in top:
        report(f'{name:{width}}  {score:6.1%}')
    if out is not None:
        with atomic_write(out, force) as temporary:
            _draw(pixels, predicted.set_pred_label(labels), names, temporary)
        report(f'drawn to {out}')
    return top


def _name(label: int, names: Sequence[str]) -> str:
    return str(names[label]) if label < len(names) else f'class {label}'


def _read(image: str | Path) -> np.ndarray:
    if not Path(image).is_file():
        raise UserError(f'image {str(image)!r} does not exist: check the path')
    return mmcv.bgr2rgb(LoadImageFromFile()(dict(img_path=str(image)))['img'])


@torch.inference_mode()
def _predict(model: BaseModel, dataset: Config,
             image: str | Path) -> DataSample:
    with user_errors('the test pipeline of the config does not take the '
                     'image'):
        steps = [TRANSFORMS.build(step) for step in dataset.pipeline]
        data: dict[str, Any] = dict(img_path=str(image))
        if dataset.pipeline[0].type != LoadImageFromFile.__name__:
            # Data sets that hold pixels, such as CIFAR10, hold RGB.
            pixels = _read(image)
            data |= dict(
                img=pixels,
                img_shape=pixels.shape[:2],
                ori_shape=pixels.shape[:2])
        sample = Compose(steps)(data)
        predicted, = model.test_step(default_collate([sample]))
    return predicted.cpu()


def _classes_of(dataset: Config) -> tuple[str, ...]:
    # Lazy: what the data set knows of itself, without looking for its files.
    with user_errors('the test data set of the config cannot be built'):
        return build_dataset({
            **dataset, 'lazy_init': True
        }).metainfo.get('classes') or ()


def _draw(pixels: np.ndarray, predicted: DataSample, names: Sequence[str],
          path: Path) -> None:
    """Set the classes beside the image, so that they hide nothing of it."""
    pixels = readable(pixels)
    height, width = pixels.shape[:2]
    scale = height / _SCALE
    names = [
        _name(label, names) for label in range(len(pred_scores(predicted)))
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
