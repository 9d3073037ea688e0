"""Export of a model in int8, with its accuracy before and after."""
from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.model import BaseModel
from torch.utils.data import DataLoader

from mmcls_repmlp.export.export_model import (export_model, put_in_place,
                                              silence_exporters)
from mmcls_repmlp.export.export_wrapper import ExportWrapper
from mmcls_repmlp.export.quantize_onnx import load_exact, quantize_onnx
from mmcls_repmlp.jobs.shared.data import describe_data, open_loader
from mmcls_repmlp.jobs.shared.labels import match_classes
from repmlp_lite.console import Progress, say, track
from repmlp_lite.errors import JobFailedError
from repmlp_lite.exported.load_exported import load_exported
from repmlp_lite.exported.readers import ExportedModel
from repmlp_lite.files import scratch_folder

from .sample_data import Batch, labelled_batches, shuffle_loader

ALLOWED_LOSS = 2.  # percentage points of top-1
# Difference between the optimised file and exact integers, relative to the
# largest logit: more than rounding causes, less than saturation.
_ALLOWED_DRIFT = 0.05


def write_int8(wrapper: ExportWrapper,
               model: BaseModel,
               cfg: Config,
               out: Path,
               input_shape: tuple[int, int, int],
               calibrate: str | Path,
               card: Mapping[str, Any],
               force: bool = False) -> float:
    """Write an int8 ONNX file if it is nearly as accurate as the float one.

    Accuracy is measured with exact integers, which give the same result on
    every processor. The file as the runtime optimises it must agree closely
    here, and no product in it can saturate elsewhere. Return the loss of top-1
    in percentage points.
    """
    test = open_loader(cfg, 'test')
    match_classes(test.dataset, model.class_names, model)
    calibration = _calibration_data(cfg, calibrate)
    with scratch_folder(out.parent) as folder:
        exact, small = folder / 'float32' / 'f.onnx', folder / out.name
        export_model(wrapper, exact, input_shape, card=card)
        with silence_exporters(), Progress('quantizing'):
            quantize_onnx(exact, small, (images for images, _ in islice(
                labelled_batches(calibration, model, wrapper.raw), 8)))
        runs = load_exported(exact), load_exact(small), load_exported(small)
        (before, after, optimised), drift = _score(
            runs,
            track(
                labelled_batches(test, model, wrapper.raw), 'scoring',
                len(test), lambda batch: len(batch[1])))
        say(f'      top-1 on {describe_data(test.dataset)}: '
            f'{before:.2f} % in float32, '
            f'{after:.2f} % in int8, the same on every processor; as '
            f'optimised here {optimised:.2f} %')
        _check(before - min(after, optimised), drift)
        put_in_place(small, out, card, force)
    return before - after


def _check(lost: float, drift: float) -> None:
    if not lost <= ALLOWED_LOSS:
        raise JobFailedError(
            f'int8 loses {lost:.2f} points of top-1, more than the '
            f'{ALLOWED_LOSS} allowed: nothing was written')
    if not drift <= _ALLOWED_DRIFT:
        raise JobFailedError(
            f'the int8 file gives outputs that are {drift:.2e} of the largest '
            f'one away from exact integers, allowed is {_ALLOWED_DRIFT}: '
            'nothing was written')


def _calibration_data(cfg: Config, folder: str | Path) -> DataLoader:
    cfg = copy.deepcopy(cfg)
    dataset = dict(
        type='ImageFolder',
        data_root=str(folder),
        pipeline=cfg.test_dataloader.dataset.pipeline)
    # Shuffled, so that the first batches hold images of every class.
    cfg.test_dataloader = shuffle_loader(cfg.test_dataloader, dataset=dataset)
    return open_loader(cfg, 'test')


def _score(runs: Sequence[ExportedModel],
           batches: Iterable[Batch]) -> tuple[list[float], float]:
    """Return top-1 of each in percent, and the drift of the last two."""
    hits: list[list[np.ndarray]] = []
    drift = 0.
    for images, labels in batches:
        outputs = [run(images) for run in runs]
        hits.append([output.argmax(1) == labels for output in outputs])
        _, exact, optimised = outputs
        drift = np.maximum(  # unlike max, it keeps NaN
            drift,
            np.abs(exact - optimised).max() / np.abs(exact).max())
    top1 = 100 * np.concatenate(hits, axis=1).mean(1)
    return top1.tolist(), float(drift)
