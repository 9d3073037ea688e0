"""Pictures of tested images with their predictions."""
from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmcls_repmlp.host import DataSample, Visualizer, draw
from mmcls_repmlp.jobs.shared.data import (folder_of, leaf_datasets,
                                           normalization_of, reads_bgr)
from mmcls_repmlp.jobs.shared.pictures import (READABLE, PictureNames,
                                               fonts_for, to_picture)


class ShowPredictions(Hook):
    """Hook that draws every tested image with its classes to a folder.

    In the host's hook, images of one name in two folders replace each other.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.visualizer = Visualizer()

    def before_test(self, runner: Runner) -> None:
        """Find the folder that holds all images, and their classes."""
        dataset = runner.test_dataloader.dataset
        folders = map(folder_of, leaf_datasets(dataset))
        self.names = PictureNames(
            os.path.commonpath([*map(os.path.abspath, folders)]))
        self.visualizer.dataset_meta = dataset.metainfo
        self.bgr, self.norm = reads_bgr(dataset), normalization_of(dataset)

    def after_test_iter(self, runner: Runner, batch_idx: int,
                        data_batch: dict[str, Any],
                        outputs: Sequence[DataSample]) -> None:
        """Draw the images of a batch."""
        for image, sample in zip(data_batch['inputs'], outputs):
            number, path = sample.get('sample_idx', 0), sample.get('img_path')
            name = (
                self.names.of(path, number) if path else f'{number:06}.png')
            pixels = image.permute(1, 2, 0).cpu().numpy()
            pixels = to_picture(
                dict(img=pixels, img_norm_cfg=self.norm), bgr=self.bgr)
            with fonts_for(self.visualizer.dataset_meta.get('classes')
                           or ()) as fonts:
                draw(
                    self.visualizer,
                    pixels,
                    sample,
                    out_file=self.folder / name,
                    rescale_factor=max(1., READABLE / min(pixels.shape[:2])),
                    fonts=['monospace', *fonts])
