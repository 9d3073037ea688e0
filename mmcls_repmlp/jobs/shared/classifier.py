"""A model with the test pipeline of its config: images in, classes out."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import mmcv
import numpy as np
import torch
from mmcv.transforms import LoadImageFromFile
from mmengine.config import Config
from mmengine.dataset import Compose, default_collate

from mmcls_repmlp.host import (TRANSFORMS, DataSample, build_dataset,
                               pred_scores)
from mmcls_repmlp.recipe.transforms import LoadImageStrict
from repmlp_lite.errors import UserError

from .config import config_errors
from .data import loader_config
from .pictures import picture
from .source import open_source


class Prepared(NamedTuple):
    """An image as the model is given it.

    Attributes:
        sample: What the test pipeline makes of it.
        picture: The same for people: RGB of shape (H, W, 3), uint8.
    """
    sample: dict[str, Any]
    picture: np.ndarray


class Classifier:
    """A model with the test pipeline of its config.

    Args:
        config: Path of the config; None for the one in the checkpoint.
        checkpoint: Path or URL of a checkpoint, in the form of the config.
        device: Where the model runs. Defaults to 'cpu'.
        key: Entry of the checkpoint that holds the weights. Defaults to the
            only one.
        cfg_options: Settings to change in the config. Defaults to none.

    Attributes:
        model: The model, in eval mode.
        names: Of the classes: the checkpoint's, else the data set's; empty if
            neither names them.

    Raises:
        UserError: If something given is not usable.
    """

    def __init__(self,
                 config: str | Path | None,
                 checkpoint: str | Path,
                 device: str = 'cpu',
                 key: str | None = None,
                 cfg_options: Mapping[str, Any] | None = None) -> None:
        source = open_source(config, checkpoint, key, cfg_options)
        dataset = loader_config(source.cfg, 'test').dataset
        self.model = source.load_model(device)
        self.names = source.class_names or _classes_of(dataset)
        with pipeline_errors():
            self.pipeline = Compose(
                [TRANSFORMS.build(step) for step in dataset.pipeline])
        # Data sets that hold pixels, such as CIFAR10, hold RGB.
        self.reads_file = isinstance(self.pipeline.transforms[0],
                                     LoadImageFromFile)

    def prepare(self, image: str | Path) -> dict[str, Any]:
        """Read an image and follow the pipeline.

        Raises:
            ConfigError: If the pipeline does not take it.
            ImageError: If it cannot be read.
        """
        data = self._begin(image)
        with pipeline_errors():
            return self.pipeline(data)

    def prepare_and_show(self, image: str | Path) -> Prepared:
        """Do what :meth:`prepare` does, and keep the image for people.

        Raises:
            ConfigError: If the pipeline does not take it.
            ImageError: If it cannot be read.
        """
        data = shown = self._begin(image)
        with pipeline_errors():
            for transform in self.pipeline.transforms:
                data = transform(data)
                shown = data if 'img' in data else shown
            return Prepared(data, picture(shown, bgr=self.reads_file))

    def _begin(self, image: str | Path) -> dict[str, Any]:
        if self.reads_file:
            return dict(img_path=str(image))
        pixels = read_image(image)
        shape = pixels.shape[:2]
        return dict(
            img_path=str(image), img=pixels, img_shape=shape, ori_shape=shape)

    @torch.inference_mode()
    def run(self, samples: Sequence[dict[str, Any]]) -> list[DataSample]:
        """Classify what :meth:`prepare` made; images may differ in size."""
        predicted: list[DataSample] = []
        for _, same in groupby(samples, lambda one: one['inputs'].shape):
            with pipeline_errors():
                predicted += self.model.test_step(default_collate([*same]))
        return [sample.cpu() for sample in predicted]

    def top(self, predicted: DataSample,
            count: int) -> list[tuple[str, float]]:
        """Name the likeliest classes with their scores, best first."""
        scores = pred_scores(predicted)
        values, labels = scores.topk(min(count, len(scores)))
        return [(self.name(label), score)
                for label, score in zip(labels.tolist(), values.tolist())]

    def name(self, label: int) -> str:
        """Name a class, by its label if nothing else is known of it."""
        return (str(self.names[label])
                if label < len(self.names) else f'class {label}')


def pipeline_errors() -> AbstractContextManager[None]:
    """Turn what a pipeline raises at an image into a ConfigError."""
    return config_errors('the test pipeline of the config does not take the '
                         'image')


def read_image(image: str | Path) -> np.ndarray:
    """Read an image.

    Returns:
        RGB of shape (H, W, 3), uint8.

    Raises:
        UserError: If there is no such file.
        ImageError: If it cannot be read.
    """
    if not Path(image).is_file():
        what = ('is a folder: name a file in it'
                if Path(image).is_dir() else 'does not exist: check the path')
        raise UserError(f'image {str(image)!r} {what}')
    return mmcv.bgr2rgb(LoadImageStrict()(dict(img_path=str(image)))['img'])


def _classes_of(dataset: Config) -> tuple[str, ...]:
    # Lazy: what the data set knows of itself, without looking for its files.
    with config_errors('the test data set of the config cannot be built'):
        built = build_dataset(dict(dataset, lazy_init=True))
    return built.metainfo.get('classes') or ()
