"""Export a checkpoint in int8, with its accuracy before and after."""
from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config
from mmengine.model import BaseModel
from torch.utils.data import DataLoader

from mmcls_repmlp.export.export_model import (export_model, put_in_place,
                                              quietly)
from mmcls_repmlp.export.export_wrapper import ExportWrapper
from mmcls_repmlp.export.quantize_onnx import load_exact, quantize_onnx
from mmcls_repmlp.jobs.shared.data import open_loader
from mmcls_repmlp.jobs.shared.labels import match_classes
from repmlp_lite.console import Progress, tracked
from repmlp_lite.errors import ConfigError, JobFailedError, option
from repmlp_lite.exported.load_exported import ExportedModel, load_exported
from repmlp_lite.files import scratch_folder

from .test_images import Batch, labelled_batches

CALIBRATION_BATCHES = 8
ALLOWED_LOSS = 2.  # percentage points of top-1
# Between the optimised file and exact integers, of the largest logit: numbers
# at the edge of a step round either way, sums that saturate go further.
_ALLOWED_DRIFT = 0.05


class Scores(NamedTuple):
    """Top-1 in percent, and how far the optimised file is from integers."""
    float32: float
    exact: float
    optimised: float
    drift: float


def write_int8(wrapper: ExportWrapper, model: BaseModel, cfg: Config,
               out: str | Path, input_shape: tuple[int, int, int],
               calibrate: str | Path, card: Mapping[str, Any], force: bool,
               report: Callable[[str], None]) -> float:
    """Write an int8 ONNX file if it is nearly as accurate as the float one.

    What is told is what the file gives by exact integers, which is the same
    on every processor; as it runs, with the runtime's optimisations, it must
    be near that here, and no product in it can saturate elsewhere.

    Args:
        wrapper: What is to be exported, in float32.
        model: The classifier it was made of, for its data preprocessor.
        cfg: Its config, whose test data both are tested on.
        out: The .onnx file to write.
        input_shape: Shape (C, H, W) of an image.
        calibrate: Folder of images, in subfolders, to set the ranges by.
        card: What the card says beside the digests.
        force: Whether an existing file is replaced.
        report: Called with the accuracies.

    Returns:
        Top-1 lost, in percentage points.

    Raises:
        ConfigError: If images cannot be found, or have other classes.
        ImageError: If an image cannot be read.
        JobFailedError: If more than two points are lost, or the file computes
            otherwise than by exact integers; nothing is written.
    """
    out = Path(out)
    test = open_loader(cfg, 'test')
    match_classes(test.dataset, model.class_names, model)
    calibration = _calibration(cfg, calibrate)
    with scratch_folder(out.parent) as folder:
        exact, small = folder / 'float32' / 'f.onnx', folder / out.name
        export_model(wrapper, exact, input_shape)
        with quietly(), Progress('quantizing'):
            quantize_onnx(exact, small, (images for images, _ in islice(
                labelled_batches(calibration, model, wrapper.raw),
                CALIBRATION_BATCHES)))
        scores = _score(
            load_exported(exact), load_exact(small), load_exported(small),
            tracked(
                labelled_batches(test, model, wrapper.raw), 'scoring',
                len(test), lambda batch: len(batch[1])))
        report(f'      top-1 on the test data: {scores.float32:.2f} % in '
               f'float32, {scores.exact:.2f} % in int8, the same on every '
               f'processor; as optimised here {scores.optimised:.2f} %')
        _check(scores)
        put_in_place(small, out, card, force)
    return scores.float32 - scores.exact


def _check(scores: Scores) -> None:
    lost = scores.float32 - min(scores.exact, scores.optimised)
    if not lost <= ALLOWED_LOSS:
        raise JobFailedError(
            f'int8 loses {lost:.2f} points of top-1, allowed are '
            f'{ALLOWED_LOSS}: nothing was written')
    if not scores.drift <= _ALLOWED_DRIFT:
        raise JobFailedError(
            f'the int8 file gives outputs that are {scores.drift:.2e} of the '
            'largest one away from exact integers, allowed is '
            f'{_ALLOWED_DRIFT}: nothing was written')


def _calibration(cfg: Config, folder: str | Path) -> DataLoader:
    cfg = copy.deepcopy(cfg)
    loader = cfg.test_dataloader
    loader.dataset = dict(
        type='ImageFolder',
        data_root=str(folder),
        pipeline=loader.dataset.pipeline)
    # Shuffled, so that the first batches hold images of every class.
    loader.sampler = dict(type='DefaultSampler', shuffle=True, seed=0)
    try:
        return open_loader(cfg, 'test')
    except ConfigError as error:
        raise ConfigError('the images of '
                          f'{option("calibrate", repr(str(folder)))} cannot '
                          f'be read: {error.__cause__ or error}') from error


def _score(float32: ExportedModel, exact: ExportedModel,
           optimised: ExportedModel, batches: Iterable[Batch]) -> Scores:
    hits: list[np.ndarray] = []
    drift = 0.
    for images, labels in batches:
        whole, integer, quick = (
            run(images) for run in (float32, exact, optimised))
        hits.append(
            np.stack(
                [out.argmax(1) == labels for out in (whole, integer, quick)]))
        drift = np.maximum(  # unlike max, it does not pass NaN over
            drift,
            np.abs(integer - quick).max() / np.abs(integer).max())
    top1 = 100 * np.concatenate(hits, axis=1).mean(1)
    return Scores(*map(float, (*top1, drift)))
