"""Export of a model to other runtimes, compared with the original."""
from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repmlp_lite.errors import JobFailedError, option, translate
from repmlp_lite.exported.card import card_of, digests, metadata_of, parts_of
from repmlp_lite.exported.load_exported import check_format, load_exported
from repmlp_lite.files import check_writable, move_into_place, scratch_folder
from repmlp_lite.locks import lock

from .export_wrapper import ExportWrapper

Compute = Callable[[np.ndarray], np.ndarray]
InputShape = tuple[int, int, int]
# Name of each dtype, and difference allowed relative to the largest logit.
# Every runtime rounds half precision in its own way.
_PRECISIONS = {
    torch.float32: ('fp32', 1e-3),
    torch.float16: ('fp16', 5e-2),
    torch.bfloat16: ('bf16', 2e-1)
}


def export_model(model: ExportWrapper,
                 path: str | Path,
                 input_shape: InputShape,
                 *,
                 force: bool = False,
                 reference: ExportWrapper | None = None,
                 images: Sequence[np.ndarray] = (),
                 card: Mapping[str, Any] | None = None,
                 opset: int | None = None) -> float:
    """Export a model with a dynamic batch size and compare the file with it.

    The format follows from the suffix: .onnx (ONNX, weights beyond 2 GB in a
    .onnx.data), .xml (OpenVINO, weights in a .bin beside it) or .pt2
    (torch.export). The file is run on batches of several sizes before it is
    moved into place.

    Args:
        model: The model to export.
        path: The file to write.
        input_shape: Shape (C, H, W) of an image.
        force: Whether existing files are replaced. Defaults to False.
        reference: The model to compare with. Defaults to ``model`` itself.
        images: Batches to compare on beside random ones. Defaults to none.
        card: Entries of the card beside the digests; classes, mean, std and
            channels go into the file itself, too. Defaults to no card.
        opset: Version of ONNX's operators. Defaults to torch's own choice.

    Returns:
        The largest difference of a logit, relative to the largest logit.

    Raises:
        UserError: If the file cannot be written here.
        JobFailedError: If its outputs differ; nothing is left then.
    """
    path = Path(path)
    check_export(path, force)
    with scratch_folder(path.parent) as folder:
        written = folder / path.name
        with silence_exporters(), translate(
                JobFailedError, 'the model cannot be written as '
                f'{path.suffix} (another format may work)', Exception):
            WRITERS[path.suffix](model, written, input_shape, opset,
                                 metadata_of(card or {}))
        random = [
            _random_images((size, *input_shape), model.raw).numpy()
            for size in (1, 2, 5)
        ]
        difference = _verify(written, model, reference, [*random, *images])
        put_in_place(written, path, card, force)
    return difference


def check_export(path: str | Path, force: bool = False) -> None:
    """Raise UserError if a file cannot be exported, before the work begins."""
    check_format(path, to_write=True)
    for target in (*parts_of(path), card_of(path)):
        check_writable(target, force)


def put_in_place(written: Path,
                 path: Path,
                 card: Mapping[str, Any] | None,
                 force: bool = False) -> None:
    """Move a finished file with all its parts to its place, the card last.

    A process that is killed in between leaves parts that do not match the
    digests in the card.
    """
    if card is not None:
        text = json.dumps({**card, 'files': digests(written)}, indent=1)
        card_of(written).write_text(text + '\n', encoding='utf-8')
    with lock(path.parent):  # another export would mix its parts with these
        check_export(path, force)
        for part in (*parts_of(written), card_of(written)):
            if part.exists():
                move_into_place(part, path.with_name(part.name))


def _inputs(model: ExportWrapper, input_shape: InputShape) -> dict[str, Any]:
    images = _random_images((2, *input_shape), model.raw)
    batch = {0: torch.export.Dim('batch')}
    return dict(args=(images, ), dynamic_shapes=(batch, ))


@torch.no_grad()
def _program(model: ExportWrapper,
             input_shape: InputShape) -> torch.export.ExportedProgram:
    return torch.export.export(model, **_inputs(model, input_shape))


@torch.no_grad()
def _write_onnx(model: ExportWrapper, path: Path, input_shape: InputShape,
                opset: int | None, metadata: Mapping[str, str]) -> None:
    # Export the model, not its program, to keep the names of dimensions.
    program: Any = torch.onnx.export(
        model,
        **_inputs(model, input_shape),
        dynamo=True,
        input_names=['images'],
        output_names=[model.output],
        opset_version=opset,
        verbose=False)
    # If it cannot convert, torch only logs that and writes its own version.
    written = program.model.opset_imports['']
    if opset not in (None, written):
        raise JobFailedError(
            f'the model cannot be written in opset {opset}, only in {written}:'
            ' nothing was written')
    program.model.metadata_props.update(metadata)
    program.save(path)


def _write_openvino(model: ExportWrapper, path: Path, input_shape: InputShape,
                    opset: None, metadata: Mapping[str, str]) -> None:
    import openvino
    converted = openvino.convert_model(_program(model, input_shape))
    # Otherwise it would accept images of any size and compute nonsense.
    converted.reshape({0: openvino.PartialShape([-1, *input_shape])})
    for name, value in metadata.items():
        converted.set_rt_info(value, ['model_info', name])
    openvino.save_model(converted, path, compress_to_fp16=False)


def _write_exported_program(model: ExportWrapper, path: Path,
                            input_shape: InputShape, opset: None,
                            metadata: Mapping[str, str]) -> None:
    torch.export.save(
        _program(model, input_shape), path, extra_files={**metadata})


WRITERS: Mapping[str, Callable[..., None]] = {
    '.onnx': _write_onnx,
    '.xml': _write_openvino,
    '.pt2': _write_exported_program
}


def _verify(written: Path, model: ExportWrapper,
            reference: ExportWrapper | None,
            batches: Sequence[np.ndarray]) -> float:
    # Only torch's own format needs trust; others are checked as by predict.py.
    runs: list[Compute] = [
        load_exported(written, exact=True, trust=written.suffix == '.pt2')
    ]
    if reference is not None and written.suffix == '.onnx':
        # On CPUs, ONNX Runtime computes half precision in float32, which hides
        # overflows that occur elsewhere.
        runs.append(lambda images: model(torch.from_numpy(images)).numpy())
    precision, allowed = _PRECISIONS[model.dtype]
    difference = max(
        _largest_difference(run, reference or model, batches, precision)
        for run in runs)
    if not difference <= allowed:
        raise JobFailedError(
            f'the exported {written.suffix} differs from the model by '
            f'{difference:.2e} of the largest output, allowed is '
            f'{allowed:.0e}: nothing was written')
    return difference


@torch.no_grad()
def _largest_difference(run: Compute, model: ExportWrapper,
                        batches: Sequence[np.ndarray],
                        precision: str) -> float:
    """Compare on batches, each relative to its largest logit."""
    largest, lost = 0., 0
    for images in batches:
        expected, actual = model(torch.from_numpy(images)).numpy(), run(images)
        if not np.isfinite(expected).all():
            raise JobFailedError('the model itself gives NaN or infinity: '
                                 'check its weights')
        if actual.shape != expected.shape:
            return float('inf')
        lost += sum(not np.isfinite(logits).all() for logits in actual)
        scale = max(np.abs(expected).max(), np.finfo(np.float32).tiny)
        largest = max(largest, float(np.abs(actual - expected).max() / scale))
    if lost:
        remedy = 'the runtime computes differently, so choose another format'
        if precision == 'fp16':
            remedy = ('activations overflow, as fp16 ends at 65504, so export '
                      f'with {option("precision", "bf16")} or fp32')
        raise JobFailedError(
            f'{lost} of {sum(map(len, batches))} images give NaN or infinity '
            f'in {precision} and not in the model: {remedy}; nothing was '
            'written')
    return largest


def _random_images(shape: tuple[int, ...], raw: bool) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    if raw:
        return torch.randint(256, shape, generator=generator).byte()
    return torch.randn(shape, generator=generator)


@contextmanager
def silence_exporters() -> Iterator[None]:
    """Silence warnings of exporters, most of them about their own code."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(before)
