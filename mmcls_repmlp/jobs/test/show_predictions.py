"""Pictures of what a model says of the images it is tested on."""
from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmcls_repmlp.host import DataSample, Visualizer, draw
from mmcls_repmlp.jobs.shared.leaf_datasets import leaf_datasets
from mmcls_repmlp.jobs.shared.pictures import READABLE, PictureNames


class ShowPredictions(Hook):
    """Draws every image that is tested, with its classes.

    The host's hook names pictures by their files alone, so that images of one
    name in two folders replace each other. Here :class:`PictureNames` names
    them; images without a file are named by their place in the data set.

    Args:
        folder: Where the pictures go.
        side: Length of the images' shorter side, in pixels.
    """

    def __init__(self, folder: str | Path, side: int) -> None:
        self.folder = Path(folder)
        self.scale = max(1., READABLE / side)
        self.visualizer = Visualizer()

    def before_test(self, runner: Runner) -> None:
        """Find the folder that all images are in, and their classes."""
        self.names = PictureNames(_root(runner.test_loop.dataloader.dataset))
        self.visualizer.dataset_meta = runner.visualizer.dataset_meta

    def after_test_iter(self, runner: Runner, batch_idx: int,
                        data_batch: dict[str, Any],
                        outputs: Sequence[DataSample]) -> None:
        """Draw the images of a batch."""
        for image, sample in zip(data_batch['inputs'], outputs):
            pixels = image.permute(1, 2, 0).cpu().numpy().astype(np.uint8)
            draw(
                self.visualizer,
                pixels,
                sample,
                out_file=self.folder / self._name(sample),
                rescale_factor=self.scale)

    def _name(self, sample: DataSample) -> str:
        place, path = sample.get('sample_idx', 0), sample.get('img_path')
        return self.names.of(path, place) if path else f'{place:06}.png'


def _root(dataset: BaseDataset) -> str:
    folders: list[Any] = [
        getattr(part, 'img_prefix', '') or getattr(part, 'data_root', '')
        for part in leaf_datasets(dataset)
    ]
    return os.path.commonpath([os.path.abspath(each) for each in folders])
