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
from mmengine.runner import Runner
from torch import nn

from mmcls_repmlp.deploy.artefact import Run, load_artefact
from mmcls_repmlp.deploy.export import export_model, quietly
from mmcls_repmlp.deploy.quantize import quantize_onnx
from mmcls_repmlp.deploy.served import Served
from mmcls_repmlp.errors import ConfigError, JobFailedError
from mmcls_repmlp.files import atomic_write

from .config import user_errors

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
        ConfigError: If images cannot be read.
        JobFailedError: If more than two points are lost; nothing is written.
    """
    if cfg.get('test_dataloader') is None:
        raise ConfigError('the config has no test_dataloader, which int8 is '
                          'tested with: add one')
    calibration = copy.deepcopy(cfg.test_dataloader)
    calibration.dataset = dict(
        type='CustomDataset', data_root=str(calibrate),
        pipeline=cfg.test_dataloader.dataset.pipeline)
    # Shuffled, so that the first batches hold images of every class.
    calibration.sampler = dict(type='DefaultSampler', shuffle=True, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        exact, small = (Path(folder, name) for name in ('f.onnx', 'q.onnx'))
        export_model(served, exact, input_shape)
        with quietly():
            quantize_onnx(exact, small, (images for images, _ in islice(
                _batches(calibration, model, served.raw, str(calibrate)),
                CALIBRATION_BATCHES)))
        before, after = (
            _top1(load_artefact(path), _batches(
                cfg.test_dataloader, model, served.raw, 'the test data'))
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


def _batches(loader: Config, model: nn.Module, raw: bool,
             what: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    loader = copy.deepcopy(loader)
    loader.setdefault('collate_fn', dict(type='default_collate'))
    try:
        with user_errors(f'{what} cannot be read'):
            built = Runner.build_dataloader(loader)
    except (OSError, RuntimeError) as error:
        raise ConfigError(f'{what} cannot be read: {error}') from error
    for batch in built:
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
