"""Write pictures of what the data set of a config feeds its model."""
from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset, Compose
from mmengine.registry import init_default_scope

from mmcls_repmlp.host import DataSample, Visualizer, build_dataset, draw
from repmlp_lite.command_line.choices import MODES
from repmlp_lite.console import track
from repmlp_lite.errors import UserError

from .shared.config import read_config
from .shared.data import data_errors, loader_config
from .shared.leaf_datasets import check_samples, leaf_datasets
from .shared.pictures import READABLE, check_folder, picture, side_by_side

_FIRST_AND_LAST = 'concat'
_CAPTION = dict(
    colors='white',
    vertical_alignments='bottom',
    bboxes=dict(facecolor='black', alpha=0.5, boxstyle='Round'))
_LETTERS = 7 / READABLE  # as part of the height


class Sample(NamedTuple):
    """An image on its way through a pipeline.

    Attributes:
        path: Its file; empty if the data set holds pixels.
        steps: Names of the transforms, each with the RGB picture after it.
        label: Its class or classes; None if unknown.
    """
    path: str
    steps: list[tuple[str, np.ndarray]]
    label: Any


def browse_dataset(config: str | Path,
                   out_dir: str | Path,
                   phase: str = 'train',
                   number: int = 20,
                   mode: str = 'transformed',
                   cfg_options: Mapping[str, Any] | None = None,
                   force: bool = False,
                   report: Callable[[str], None] = print) -> list[Path]:
    """Write pictures of samples spread evenly over a data set.

    Normalisation within the pipeline is undone, so that colours look as in
    the files. What a model's data preprocessor does to whole batches, such as
    Mixup, is not shown.

    Args:
        config: Path of the config.
        out_dir: Folder to write to, new or empty.
        phase: Which data set: 'train', 'val' or 'test'. Defaults to 'train'.
        number: How many samples, at most. Defaults to 20.
        mode: 'transformed' shows what the pipeline ends with, 'original' what
            it reads, 'concat' both, 'pipeline' every step. Defaults to
            'transformed'.
        cfg_options: Settings to change in the config. Defaults to none.
        force: Whether ``out_dir`` may hold files. Defaults to False.
        report: Called with how many are written. Defaults to print.

    Returns:
        The files written.

    Raises:
        UserError: If the config, its data or the folder is not usable.
    """
    if number < 1:
        raise UserError(f'{number} samples cannot be shown: ask for 1 or more')
    check_folder(out_dir, force)
    cfg = read_config(config, cfg_options)
    loader = loader_config(cfg, phase)
    with data_errors(cfg, phase):
        dataset = _recording(loader.dataset, cfg)
        visualizer = Visualizer()
        visualizer.dataset_meta = dataset.metainfo
        picks = np.linspace(0, len(dataset) - 1, min(number, len(dataset)))
        written = [
            _draw(visualizer, dataset[i], mode, Path(out_dir, f'{i:06}'))
            for i in track(picks.round().astype(int).tolist(), 'drawing',
                           len(picks))
        ]
    report(f'{len(written)} pictures in {out_dir}')
    return written


def _recording(dataset: Config, cfg: Config) -> BaseDataset:
    init_default_scope(cfg.default_scope)
    built = build_dataset(dataset)
    check_samples(built, 'the data set')
    for part in leaf_datasets(built):
        part.pipeline = _Recorder(part.pipeline.transforms)
    return built


class _Recorder(Compose):
    """A pipeline that gives the picture after each of its steps."""

    def __call__(self, data: dict) -> Sample | None:
        path, label = data.get('img_path', ''), data.get('gt_label')
        # Files are read as BGR; data sets that hold pixels hold RGB.
        bgr = 'img' not in data
        steps = [] if bgr else [('data set', picture(data, bgr))]
        for transform in self.transforms:
            data = transform(data)
            if data is None:
                return None  # the data set then takes another sample
            if 'img' in data:
                steps.append((type(transform).__name__, picture(data, bgr)))
        return Sample(path, steps, label)


def _draw(visualizer: Visualizer, sample: Sample, mode: str,
          stem: Path) -> Path:
    steps = sample.steps[MODES[mode]]
    if mode == _FIRST_AND_LAST:
        steps = [steps[0], steps[-1]]
    row, starts = side_by_side([each for _, each in steps])
    if len(steps) > 1:
        visualizer.set_image(row)
        visualizer.draw_texts([name for name, _ in steps],
                              np.array([(x + 6, row.shape[0] - 6)
                                        for x in starts]),
                              font_sizes=_LETTERS * row.shape[0],
                              **_CAPTION)
        row = visualizer.get_image()
    shown = DataSample()
    if sample.label is not None:
        shown.set_gt_label(sample.label)
    name = os.path.splitext(os.path.basename(sample.path))[0]
    out = Path(f'{stem}_{name}.png' if name else f'{stem}.png')
    draw(visualizer, row, shown, out)
    return out
