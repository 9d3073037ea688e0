"""Export a checkpoint in int8, with its accuracy before and after."""
from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from torch import nn
from torch.utils.data import DataLoader

from mmcls_repmlp.deploy.artefact import Run, load_artefact
from mmcls_repmlp.deploy.export import export_model, quietly
from mmcls_repmlp.deploy.quantize import quantize_onnx
from mmcls_repmlp.deploy.served import Served
from mmcls_repmlp.errors import ConfigError, JobFailedError
from mmcls_repmlp.files import atomic_write

from .data import open_loader
from .labels import match_classes

CALIBRATION_BATCHES = 8
_ALLOWED_LOSS = 2.  # percentage points of top-1


def write_int8(served: Served,
               model: nn.Module,
               cfg: Config,
               out: str | Path,
               input_shape: tuple[int, int, int],
               calibrate: str | Path,
               force: bool,
               report: Callable[[str], None]) -> float:
    """Write an int8 ONNX file if it is nearly as accurate as the float one.

    Args:
        served: What is to be served, in float32.
        model: The classifier it was made of, for its data preprocessor.
        cfg: Its config, whose test data both are tested on.
        out: The .onnx file to write.
        input_shape: Shape (C, H, W) of an image.
        calibrate: Folder of images, in subfolders, to set the ranges by.
        force: Whether an existing file is replaced.
        report: Called with the accuracies.

    Returns:
        Top-1 lost, in percentage points.

    Raises:
        ConfigError: If images cannot be found, or have other classes.
        ImageError: If an image cannot be read.
        JobFailedError: If more than two points are lost; nothing is written.
    """
    test = open_loader(cfg, 'test')
    match_classes(test.dataset, model.class_names, model)
    calibration = _calibration(cfg, calibrate)
    with tempfile.TemporaryDirectory() as folder:
        exact, small = (Path(folder, name) for name in ('f.onnx', 'q.onnx'))
        export_model(served, exact, input_shape)
        with quietly():
            quantize_onnx(exact, small, (
                images for images, _ in islice(_batches(
                    calibration, model, served.raw), CALIBRATION_BATCHES)))
        before, after = (
            _top1(load_artefact(path), _batches(test, model, served.raw))
            for path in (exact, small))
        report(f'      top-1 on the test data: {before:.2f} % in float32, '
               f'{after:.2f} % in int8')
        if not before - after <= _ALLOWED_LOSS:
            raise JobFailedError(
                f'int8 loses {before - after:.2f} points of top-1, allowed '
                f'are {_ALLOWED_LOSS}: nothing was written')
        with atomic_write(out, force) as temporary:
            temporary.write_bytes(small.read_bytes())
    return before - after


def _calibration(cfg: Config, folder: str | Path) -> DataLoader:
    cfg = copy.deepcopy(cfg)
    loader = cfg.test_dataloader
    loader.dataset = dict(
        type='CustomDataset', data_root=str(folder),
        pipeline=loader.dataset.pipeline)
    # Shuffled, so that the first batches hold images of every class.
    loader.sampler = dict(type='DefaultSampler', shuffle=True, seed=0)
    try:
        return open_loader(cfg, 'test')
    except ConfigError as error:
        raise ConfigError(f'the images of --calibrate {str(folder)!r} cannot '
                          f'be read: {error.__cause__ or error}') from error


def _batches(loader: DataLoader, model: nn.Module,
             raw: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for batch in loader:
        labels = np.array([int(sample.gt_label.label)
                           for sample in batch['data_samples']])
        if raw:
            images = batch['inputs'].flip(1)  # read as BGR
        else:
            images = model.data_preprocessor(batch)['inputs']
        yield images.to(torch.uint8 if raw else torch.float32).numpy(), labels


def _top1(run: Run,
          batches: Iterator[tuple[np.ndarray, np.ndarray]]) -> float:
    hits = [run(images).argmax(1) == labels for images, labels in batches]
    return 100 * float(np.concatenate(hits).mean())
