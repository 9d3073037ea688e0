"""Write a model for other runtimes, and run what was written."""
from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmcls_repmlp.errors import JobFailedError, UserError

from .artefact import RUNTIMES, load_artefact, missing_packages
from .served import Served

BATCH_SIZES = (1, 2, 5)
_SEED = 0
# Difference allowed, of the largest logit. Half precisions round otherwise in
# every runtime.
_ALLOWED = {torch.float32: 1e-3, torch.float16: 5e-2, torch.bfloat16: 2e-1}


def export_model(model: Served,
                 path: str | Path,
                 input_shape: tuple[int, int, int],
                 force: bool = False) -> float:
    """Export a model with a dynamic batch size and compare it with itself.

    The format follows from the suffix: .onnx (ONNX), .xml (OpenVINO, with the
    weights in a .bin beside it), .pt2 (torch.export), .pt (TorchScript). The
    written file is run on batches of several sizes before it takes its place.

    Args:
        model: What is to be served.
        path: The file to write.
        input_shape: Shape (C, H, W) of an image.
        force: Whether existing files are replaced. Defaults to False.

    Returns:
        The largest difference of a logit, relative to the largest logit.

    Raises:
        UserError: If the suffix is unknown, a package is not installed, or a
            file would be overwritten.
        JobFailedError: If the outputs differ; nothing is left then.
    """
    path = Path(path)
    _check(path, force)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        written = Path(folder) / path.name
        with quietly():
            _WRITERS[path.suffix](model, written, input_shape)
            difference = largest_difference_of(written, model, input_shape)
        allowed = _ALLOWED[model.dtype]
        if not difference <= allowed:
            raise JobFailedError(
                f'the exported {path.suffix} differs from the model by '
                f'{difference:.2e} of the largest output, allowed is '
                f'{allowed:.0e}: nothing was written')
        # The weights first, so that what names them is never without them.
        for part in sorted(Path(folder).iterdir(),
                           key=lambda part: part.suffix == path.suffix):
            shutil.move(part, path.parent / part.name)
    return difference


def _check(path: Path, force: bool) -> None:
    if path.suffix not in RUNTIMES:
        raise UserError(f'{str(path)!r} has no suffix of a format: end it in '
                        f'one of {", ".join(RUNTIMES)}')
    missing = missing_packages(path.suffix)
    if missing:
        raise UserError(f'{path.suffix} files need {" and ".join(missing)}: '
                        f'run pip install {" ".join(missing)}')
    for target in (path, path.with_suffix('.bin')):
        if target.exists() and not force and (
                target == path or path.suffix == '.xml'):
            raise UserError(f'{str(target)!r} exists: choose another name, or '
                            'pass --force to replace it')


def _program(model: Served, input_shape: tuple[int, int, int]
             ) -> torch.export.ExportedProgram:
    batch = torch.export.Dim('batch')
    images = _batch(2, input_shape, model.raw)
    with torch.no_grad():
        return torch.export.export(
            model, (images, ), dynamic_shapes=({0: batch}, ))


def _write_onnx(model: Served, path: Path,
                input_shape: tuple[int, int, int]) -> None:
    program = torch.onnx.export(
        _program(model, input_shape),
        dynamo=True,
        input_names=['images'],
        output_names=[model.output],
        verbose=False)
    program.save(path)


def _write_openvino(model: Served, path: Path,
                    input_shape: tuple[int, int, int]) -> None:
    import openvino
    converted = openvino.convert_model(
        _program(model, input_shape))
    openvino.save_model(converted, path, compress_to_fp16=False)


def _write_exported_program(model: Served, path: Path,
                            input_shape: tuple[int, int, int]) -> None:
    torch.export.save(_program(model, input_shape), path)


def _write_torchscript(model: Served, path: Path,
                       input_shape: tuple[int, int, int]) -> None:
    with torch.no_grad():
        images = _batch(2, input_shape, model.raw)
        torch.jit.trace(model, images).save(path)


_WRITERS = {'.onnx': _write_onnx, '.xml': _write_openvino,
            '.pt2': _write_exported_program, '.pt': _write_torchscript}


def largest_difference_of(path: Path, model: Served,
                          input_shape: tuple[int, int, int]) -> float:
    """Run a file on batches of several sizes and compare it with its model.

    Returns:
        The largest difference of a logit, relative to the largest logit.
    """
    run = load_artefact(path, exact=True)
    largest = 0.
    for size in BATCH_SIZES:
        images = _batch(size, input_shape, model.raw)
        with torch.no_grad():
            expected = model(images).numpy()
        actual = run(images.numpy())
        if actual.shape != expected.shape or not np.isfinite(actual).all():
            return float('inf')
        difference = np.abs(actual - expected).max() / np.abs(expected).max()
        largest = max(largest, float(difference))
    return largest


def _batch(size: int, input_shape: tuple[int, int, int], raw: bool) -> Tensor:
    generator = torch.Generator().manual_seed(_SEED)
    shape = (size, *input_shape)
    if raw:
        return torch.randint(256, shape, dtype=torch.uint8,
                             generator=generator)
    return torch.randn(shape, generator=generator)


@contextmanager
def quietly() -> Iterator[None]:
    """Silence exporters: their own deprecated parts, and what they lack."""
    loggers = {name: logging.getLogger(name) for name in ('', 'torch.onnx')}
    levels = {name: logger.level for name, logger in loggers.items()}
    try:
        for logger in loggers.values():
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        for name, logger in loggers.items():
            logger.setLevel(levels[name])
