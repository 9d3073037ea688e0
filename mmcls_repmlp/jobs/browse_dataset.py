"""Write pictures of the samples that a data set feeds its model."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

from repmlp_lite.command_line.choices import MODES
from repmlp_lite.console import say, track
from repmlp_lite.errors import UserError, printable
from repmlp_lite.files import atomic_write

from .shared.config import read_config
from .shared.data import describe_data, leaf_datasets, open_loader
from .shared.pictures import READABLE, check_folder, fonts_for, to_picture


class _Sample(NamedTuple):
    """An image on its way through a pipeline."""
    path: str  # of its file, or empty
    steps: list[tuple[str, np.ndarray]]  # RGB picture after each transform
    label: Any  # class or classes; None if unknown


def browse_dataset(config: str | Path,
                   out_dir: str | Path,
                   *,
                   phase: str = 'train',
                   number: int = 20,
                   mode: str = 'transformed',
                   cfg_options: Mapping[str, Any] | None = None,
                   force: bool = False) -> list[Path]:
    """Write pictures of samples spread evenly over a data set.

    Normalisation inside the pipeline is undone; what the data preprocessor
    does to batches, such as Mixup, is not shown.

    Args:
        config: Path of the config.
        out_dir: Folder to write to, new or empty.
        phase: Data set: 'train', 'val' or 'test'. Defaults to 'train'.
        number: Number of samples, at most. Defaults to 20.
        mode: 'transformed' (default) shows the output of the pipeline,
            'original' its input, 'concat' both, 'pipeline' every step.
        cfg_options: As of :func:`open_source`.
        force: Whether ``out_dir`` may hold files. Defaults to False.

    Returns:
        The files written.

    Raises:
        UserError: If the config, its data or the folder cannot be used.
        ImageError: If an image cannot be read.
    """
    if number < 1:
        raise UserError(f'{number} samples cannot be shown: ask for 1 or more')
    check_folder(out_dir, force)
    cfg = read_config(config, cfg_options)
    init_default_scope(cfg.default_scope)
    dataset: Any = open_loader(cfg, phase).dataset
    for leaf in leaf_datasets(dataset):
        leaf.pipeline = _Recorder(leaf.pipeline.transforms)
    names = dataset.metainfo.get('classes') or ()
    picks = np.linspace(0, len(dataset) - 1, min(number, len(dataset)))
    written = []
    for i in track(picks.round().astype(int), 'drawing', len(picks)):
        sample = dataset[i]
        path = Path(out_dir, f'{i:06}_{Path(sample.path).stem}.png')
        with atomic_write(path, force=True) as temporary, fonts_for(names):
            _draw(sample, mode, names).savefig(temporary)
        written.append(path)
    say(f'{len(written)} pictures in {out_dir}, of {describe_data(dataset)}')
    return written


class _Recorder(Compose):
    """A pipeline that returns the picture after each of its steps."""

    def __call__(self, data: dict) -> _Sample | None:
        path, label = data.get('img_path', ''), data.get('gt_label')
        # Files are read as BGR; data sets that hold pixels hold RGB.
        bgr = 'img' not in data
        steps = [] if bgr else [('data set', to_picture(data, bgr))]
        for transform in self.transforms:
            data = transform(data)
            if data is None:
                return None  # the data set then takes another sample
            if 'img' in data:
                name = type(transform).__name__
                steps.append((name, to_picture(data, bgr)))
        return _Sample(path, steps, label)


def _draw(sample: _Sample, mode: str, names: Sequence[str]) -> Figure:
    steps = sample.steps[MODES[mode]]
    if mode == 'concat':
        steps = [steps[0], steps[-1]]
    side = max(READABLE, *(max(image.shape) for _, image in steps)) / 100
    figure = Figure((side * len(steps), side + 0.5), 100, layout='constrained')
    panels = figure.subplots(1, len(steps), squeeze=False)[0]
    for panel, (name, image) in zip(panels, steps):
        panel.imshow(image)
        panel.set_title(name, size=9, parse_math=False)
        panel.set_axis_off()
    if sample.label is not None:
        figure.suptitle(
            printable(', '.join(f'{label} ({names[label]})' if label <
                                len(names) else f'{label}'
                                for label in np.atleast_1d(sample.label))),
            parse_math=False)
    return figure
