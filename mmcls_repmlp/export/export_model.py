"""Write a model for other runtimes, and run what was written."""
from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repmlp_lite.errors import JobFailedError, UserError, option, shorten
from repmlp_lite.exported.card import card_of, digests, parts_of
from repmlp_lite.exported.load_exported import check_format, load_exported
from repmlp_lite.files import check_writable, move_into_place, scratch_folder

from .export_wrapper import ExportWrapper, sized_script

Compute = Callable[[np.ndarray], np.ndarray]
_BATCH_SIZES = (1, 2, 5)
_SEED = 0
# Difference allowed, of the largest logit. Half precisions round otherwise in
# every runtime.
_ALLOWED = {torch.float32: 1e-3, torch.float16: 5e-2, torch.bfloat16: 2e-1}
_DEFECT = 'the runtime computes otherwise, so choose another format'
_REMEDIES = {
    'fp16': 'activations overflow, as fp16 ends at 65504, so export '
    f'with {option("precision", "bf16")} or fp32'
}
_SHORT = {torch.float32: 'fp32', torch.float16: 'fp16', torch.bfloat16: 'bf16'}


def export_model(model: ExportWrapper,
                 path: str | Path,
                 input_shape: tuple[int, int, int],
                 force: bool = False,
                 reference: ExportWrapper | None = None,
                 images: Sequence[np.ndarray] = (),
                 card: Mapping[str, Any] | None = None,
                 opset: int | None = None) -> float:
    """Export a model with a dynamic batch size and compare it with itself.

    The format follows from the suffix: .onnx (ONNX, weights beyond 2 GB in a
    .onnx.data), .xml (OpenVINO, with the weights in a .bin beside it), .pt2
    (torch.export), .pt (TorchScript). The written file is run on batches of
    several sizes before it takes its place.

    Args:
        model: What is to be exported.
        path: The file to write.
        input_shape: Shape (C, H, W) of an image.
        force: Whether existing files are replaced. Defaults to False.
        reference: The model that results are held against, such as the same
            one in float32. Defaults to ``model`` itself.
        images: Batches of real images, as the file takes them, to compare on
            beside random ones. Defaults to none.
        card: What the card says beside the digests of the parts. Defaults to
            no card.
        opset: Version of ONNX's operators, for .onnx. Defaults to torch's own
            choice.

    Returns:
        The largest difference of a logit, relative to the largest logit.

    Raises:
        UserError: If the suffix is unknown, a package is not installed, or a
            file would be overwritten.
        JobFailedError: If the outputs differ or are no numbers; nothing is
            left then.
    """
    path = Path(path)
    check_export(path, force)
    with scratch_folder(path.parent) as folder:
        written = folder / path.name
        _write(model, written, input_shape, opset)
        random = (
            _batch(size, input_shape, model.raw).numpy()
            for size in _BATCH_SIZES)
        difference = _verified(written, model, reference, [*random, *images])
        put_in_place(written, path, card, force)
    return difference


def _verified(written: Path, model: ExportWrapper,
              reference: ExportWrapper | None,
              batches: Sequence[np.ndarray]) -> float:
    runs: list[Compute] = [load_exported(written, exact=True)]
    if reference is not None and written.suffix == '.onnx':
        # On CPUs ONNX Runtime computes half precision in float32, where
        # nothing overflows; elsewhere it does not.
        runs.append(lambda images: model(torch.from_numpy(images)).numpy())
    difference = max(
        _largest_difference(run, reference or model, batches, _SHORT[
            model.dtype]) for run in runs)
    allowed = _ALLOWED[model.dtype]
    if not difference <= allowed:
        raise JobFailedError(
            f'the exported {written.suffix} differs from the model by '
            f'{difference:.2e} of the largest output, allowed is '
            f'{allowed:.0e}: nothing was written')
    return difference


def check_export(path: str | Path, force: bool = False) -> None:
    """Make sure that a file can be exported before the work begins.

    Raises:
        UserError: If the suffix is unknown, a package is not installed, or
            one of the files to be written is there and ``force`` is not set.
    """
    check_format(path, to_write=True)
    for target in (*parts_of(path), card_of(path)):
        check_writable(target, force)


def put_in_place(written: Path,
                 path: Path,
                 card: Mapping[str, Any] | None,
                 force: bool = False) -> None:
    """Move a file that was prepared, with all its parts, to where it belongs.

    The weights go first, so that what names them is never without them, and
    the card last. Whoever is killed in between leaves parts that the card's
    digests do not fit.

    Args:
        written: The file, in a scratch folder.
        path: What it becomes.
        card: What the card says beside the digests; None for no card.
        force: Whether existing files are replaced. Defaults to False.

    Raises:
        UserError: If a file is there and ``force`` is not set.
    """
    if card is not None:
        text = json.dumps({**card, 'files': digests(written)}, indent=1)
        card_of(written).write_text(text + '\n', encoding='utf-8')
    check_export(path, force)
    for part in (*parts_of(written), card_of(written)):
        if part.exists():
            move_into_place(part, path.with_name(part.name))


def _write(model: ExportWrapper, path: Path, input_shape: tuple[int, int, int],
           opset: int | None) -> None:
    options = {} if opset is None else dict(opset=opset)
    try:
        with quietly():
            WRITERS[path.suffix](model, path, input_shape, **options)
    except (UserError, JobFailedError, OSError, MemoryError):
        raise
    except Exception as error:  # exporters raise what they like
        raise JobFailedError(
            f'the model cannot be written as {path.suffix}: '
            f'choose another format ({shorten(str(error), 200)})') from error


def _traced(model: ExportWrapper, input_shape: tuple[int, int,
                                                     int]) -> dict[str, Any]:
    batch = {0: torch.export.Dim('batch')}
    images = _batch(2, input_shape, model.raw)
    return dict(args=(images, ), dynamic_shapes=(batch, ))


def _program(
        model: ExportWrapper,
        input_shape: tuple[int, int, int]) -> torch.export.ExportedProgram:
    with torch.no_grad():
        return torch.export.export(model, **_traced(model, input_shape))


def _write_onnx(model: ExportWrapper,
                path: Path,
                input_shape: tuple[int, int, int],
                opset: int | None = None) -> None:
    with torch.no_grad():
        # From the model, not its program: dimensions keep their names.
        program: Any = torch.onnx.export(
            model,
            **_traced(model, input_shape),
            dynamo=True,
            input_names=['images'],
            output_names=[model.output],
            opset_version=opset,
            verbose=False)
    # Where it cannot convert, torch says so in a log and writes its own.
    written = program.model.opset_imports['']
    if opset not in (None, written):
        raise JobFailedError(
            f'the model cannot be written in opset {opset}, only in {written}:'
            ' nothing was written')
    program.save(path)


def _write_openvino(model: ExportWrapper, path: Path,
                    input_shape: tuple[int, int, int]) -> None:
    import openvino
    converted = openvino.convert_model(_program(model, input_shape))
    # Of any size it becomes by itself, and computes nonsense of others.
    converted.reshape({0: openvino.PartialShape([-1, *input_shape])})
    openvino.save_model(converted, path, compress_to_fp16=False)


def _write_exported_program(model: ExportWrapper, path: Path,
                            input_shape: tuple[int, int, int]) -> None:
    torch.export.save(_program(model, input_shape), path)


def _write_torchscript(model: ExportWrapper, path: Path,
                       input_shape: tuple[int, int, int]) -> None:
    with torch.no_grad():
        images = _batch(2, input_shape, model.raw)
        traced = torch.jit.trace(model, images)
    sized_script(traced, input_shape, images.dtype).save(path)


# What writes each format: called with model, path and input shape.
WRITERS: Mapping[str, Callable[..., None]] = {
    '.onnx': _write_onnx,
    '.xml': _write_openvino,
    '.pt2': _write_exported_program,
    '.pt': _write_torchscript
}


def _largest_difference(run: Compute, model: ExportWrapper,
                        batches: Iterable[np.ndarray],
                        precision: str) -> float:
    """Compare on batches, each relative to its largest logit."""
    largest, lost, count = 0., 0, 0
    for images in batches:
        with torch.no_grad():
            expected = model(torch.from_numpy(images)).numpy()
            actual = run(images)
        if not np.isfinite(expected).all():
            raise JobFailedError('the model itself gives NaN or infinity, so '
                                 'that no file can be held against it: check '
                                 'its weights')
        if actual.shape != expected.shape:
            return float('inf')
        count += len(images)
        lost += int((~np.isfinite(actual)).reshape(len(images),
                                                   -1).any(1).sum())
        if not lost:
            difference = np.abs(actual - expected).max() / max(
                np.abs(expected).max(),
                np.finfo(np.float32).tiny)
            largest = max(largest, float(difference))
    if lost:
        raise JobFailedError(
            f'{lost} of {count} images give NaN or infinity in {precision} '
            f'and not in the model: {_REMEDIES.get(precision, _DEFECT)}; '
            'nothing was written')
    return largest


def _batch(size: int, input_shape: tuple[int, int, int], raw: bool) -> Tensor:
    generator = torch.Generator().manual_seed(_SEED)
    shape = (size, *input_shape)
    if raw:
        return torch.randint(
            256, shape, dtype=torch.uint8, generator=generator)
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
