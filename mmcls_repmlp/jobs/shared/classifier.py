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
from mmengine.dataset import Compose, default_collate

from mmcls_repmlp.host import (TRANSFORMS, DataSample, build_dataset,
                               pred_scores)
from mmcls_repmlp.recipe.transforms import LoadImageStrict
from repmlp_lite.errors import UserError, first_few

from .config import config_errors
from .data import loader_config
from .source import Source


class Prepared(NamedTuple):
    """An image after the test pipeline."""
    sample: dict[str, Any]  # the result
    shown: Mapping[str, Any]  # result of the last step with the image array
    bgr: bool  # whether its channels are in that order


class Classifier:
    """A model with the test pipeline of its config.

    Class names come from the checkpoint, or else the data set, if it has any.
    """

    def __init__(self, source: Source, device: str = 'cpu') -> None:
        dataset = loader_config(source.cfg, 'test').dataset
        self.model = source.load_model(device)
        self.names = source.class_names
        if not self.names:
            with config_errors('the test data set of the config cannot be '
                               'built'):
                # Lazy, as its files may be missing.
                built = build_dataset(dict(dataset, lazy_init=True))
            self.names = built.metainfo.get('classes') or ()
        with pipeline_errors():
            self.pipeline = Compose(
                [TRANSFORMS.build(step) for step in dataset.pipeline])
        # Data sets that hold pixels, such as CIFAR10, hold RGB.
        self.reads_file = isinstance(self.pipeline.transforms[0],
                                     LoadImageFromFile)

    def prepare(self, image: str | Path) -> Prepared:
        """Read an image and run the test pipeline on it."""
        data: dict[str, Any] = dict(img_path=str(image))
        if not self.reads_file:
            data['img'] = read_image(image)
            data['img_shape'] = data['ori_shape'] = data['img'].shape[:2]
        shown = data
        with pipeline_errors():
            for transform in self.pipeline.transforms:
                data = transform(data)
                shown = data if 'img' in data else shown
        return Prepared(data, shown, self.reads_file)

    @torch.inference_mode()
    def run(self, images: Sequence[Prepared]) -> list[DataSample]:
        """Classify images, which may differ in size."""
        predicted: list[DataSample] = []
        for _, same in groupby((image.sample for image in images),
                               lambda sample: sample['inputs'].shape):
            with pipeline_errors():
                predicted += self.model.test_step(default_collate([*same]))
        return [sample.cpu() for sample in predicted]

    def top(self, predicted: DataSample,
            count: int) -> list[tuple[str, float]]:
        """List the likeliest classes with their scores, best first."""
        scores = pred_scores(predicted)
        values, labels = scores.topk(min(count, len(scores)))
        return [(self.name(label), score)
                for label, score in zip(labels.tolist(), values.tolist())]

    def name(self, label: int) -> str:
        """Return the name of a class, or for example 'class 3'."""
        return (str(self.names[label])
                if label < len(self.names) else f'class {label}')

    def label(self, name: str, count: int) -> int:
        """Find one of ``count`` classes by its name or number."""
        names = [self.name(label) for label in range(count)]
        if name in names:
            return names.index(name)
        if name.isdecimal() and int(name) < count:
            return int(name)
        raise UserError(f'class {name!r} is unknown: name one, such as '
                        f'{first_few(names)}, or its number from 0 to '
                        f'{count - 1}')


def pipeline_errors() -> AbstractContextManager[None]:
    """Turn errors of a pipeline into a ConfigError."""
    return config_errors('the test pipeline of the config cannot process the '
                         'image')


def read_image(image: str | Path) -> np.ndarray:
    """Read an image file as RGB of shape (H, W, 3), uint8."""
    return mmcv.bgr2rgb(LoadImageStrict()(dict(img_path=str(image)))['img'])
