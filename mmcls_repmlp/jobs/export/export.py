"""Export a checkpoint for other runtimes."""
from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel

from mmcls_repmlp.checkpoints import newest_checkpoint
from mmcls_repmlp.export.export_model import check_export, export_model
from mmcls_repmlp.export.export_wrapper import ExportWrapper
from mmcls_repmlp.jobs.shared.source import open_source
from mmcls_repmlp.reparam import fuse_for_inference
from repmlp_lite.command_line.choices import INT8, PRECISIONS
from repmlp_lite.errors import ConfigError, UserError, option
from repmlp_lite.exported.card import LOGITS, NORMALISED, RAW
from repmlp_lite.files import check_writable

from .recorded_pipeline import recorded_pipeline
from .test_images import some_images
from .write_int8 import write_int8

OLDEST_OPSET = 18  # torch converts to newer ones alone
# Where a precision is not to be had: what the runtime lacks on a CPU.
_WITHOUT = {
    ('.onnx', 'bf16'): 'ONNX Runtime has no bf16 convolution',
    ('.xml', 'bf16'): 'OpenVINO uses bf16 by itself where it can',
    ('.xml', 'fp16'): 'OpenVINO chooses its precision by itself',
    **{
        (suffix, INT8): 'only .onnx files can be quantized here'
        for suffix in ('.xml', '.pt2', '.pt')
    }
}


def export_checkpoint(config: str | Path | None,
                      checkpoint: str | Path,
                      out: str | Path,
                      precision: str = 'fp32',
                      with_preprocess: bool = False,
                      calibrate: str | Path | None = None,
                      shape: tuple[int, int] | None = None,
                      force: bool = False,
                      key: str | None = None,
                      cfg_options: Mapping[str, Any] | None = None,
                      report: Callable[[str], None] = print,
                      opset: int | None = None) -> float:
    """Export a checkpoint in its fused form and compare before writing.

    Beside OUT, ``OUT.json``, its card, says how to prepare images, what the
    classes are, and the SHA-256 of every part.

    Args:
        config: Config of the model, of either form; None for the one in the
            checkpoint.
        checkpoint: Path or URL of a training or deploy checkpoint.
        out: File to write: .onnx, .xml, .pt2 or .pt.
        precision: 'fp32', 'fp16', 'bf16' or 'int8' (.onnx). Defaults to
            'fp32'.
        with_preprocess: Whether the file takes raw uint8 RGB images and
            normalises them itself. Defaults to False.
        calibrate: For int8, a folder of images in subfolders, to set the
            ranges of activations by. Defaults to none.
        shape: Height and width of the images. Defaults to the backbone's
            ``img_size``.
        force: Whether existing files are replaced. Defaults to False.
        key: Checkpoint entry with the weights. Defaults to the only one.
        cfg_options: Settings to change in the config. Defaults to none.
        report: Called with a line for every step. Defaults to print.
        opset: Version of ONNX's operators, 18 or newer, for .onnx. Defaults
            to torch's own choice.

    Returns:
        The largest relative difference between file and model; for int8 the
        percentage points of top-1 that were lost.

    Raises:
        UserError: If something given is not usable.
        JobFailedError: If the written file differs; it is removed then.
    """
    check_export(out, force)
    checkpoint = newest_checkpoint(checkpoint)
    check_writable(out, force, checkpoint)
    _check_request(Path(out).suffix, precision, calibrate, opset)
    source = open_source(config, checkpoint, key, cfg_options)
    report(f'[1/3] reading {checkpoint}')
    cfg, model = source.cfg, source.load_model(either_form=True)
    input_shape = (cfg.model.backbone.get('in_channels', 3),
                   *(shape or model.backbone.img_size))
    report('[2/3] folding everything that folds')
    wrapper = _wrapped(model, with_preprocess, input_shape)
    if precision == INT8 and wrapper.output != LOGITS:
        raise UserError('int8 is held against the float model by top-1, which '
                        'embeddings do not have: export in another precision')
    card = _card(model, cfg, source.class_names, input_shape, wrapper)
    if isinstance(card['pipeline'], str):
        report(f'      predict.py cannot read images for it: '
               f'{card["pipeline"]}')
    report(f'[3/3] writing {out} and running it')
    if precision == INT8:
        return write_int8(
            wrapper, model, cfg, out, input_shape, str(calibrate), {
                **card, 'precision': precision,
                'verified_on': 'all images of the test data'
            }, force, report)
    return _write_float(wrapper, model, cfg, out, input_shape, precision, card,
                        force, report, opset)


def _check_request(suffix: str, precision: str, calibrate: str | Path | None,
                   opset: int | None) -> None:
    """Refuse what does not go together, before anything is read."""
    reason = _WITHOUT.get((suffix, precision))
    if reason:
        raise UserError(f'{suffix} cannot be written in {precision}: {reason}')
    if (precision == INT8) != (calibrate is not None):
        raise UserError(f'{option("precision", INT8)} and '
                        f'{option("calibrate", "FOLDER")} go together: '
                        'give both or none')
    _check_opset(suffix, precision, opset)
    if calibrate is not None and not Path(calibrate).is_dir():
        raise UserError(f'{option("calibrate", calibrate)} is no folder: name '
                        'one of images, in subfolders')


def _check_opset(suffix: str, precision: str, opset: int | None) -> None:
    if opset is None:
        return
    if suffix != '.onnx' or precision == INT8:
        raise UserError(f'{option("opset", opset)} is for .onnx files that '
                        'are not quantized: leave it out')
    from onnx.defs import onnx_opset_version  # the extra has it, check_export
    newest = onnx_opset_version()
    if not OLDEST_OPSET <= opset <= newest:
        raise UserError(
            f'{option("opset", opset)} cannot be written: choose from '
            f'{OLDEST_OPSET}, which torch writes, to {newest}, which the '
            'installed onnx knows')


def _write_float(wrapper: ExportWrapper, model: BaseModel, cfg: Config,
                 out: str | Path, input_shape: tuple[int, int, int],
                 precision: str, card: Mapping[str, Any], force: bool,
                 report: Callable[[str], None], opset: int | None) -> float:
    images: list[np.ndarray] = []
    reference = None
    if precision != 'fp32':
        # Real images reach further than noise does, and the half model can
        # be wrong itself.
        images = some_images(cfg, model, wrapper.raw, input_shape)
        reference = wrapper
        wrapper = copy.deepcopy(wrapper).to_precision(
            getattr(torch, PRECISIONS[precision]))
    count = sum(map(len, images))
    verified_on = (f'{count} images of the test data, against fp32'
                   if count else 'random images')
    difference = export_model(wrapper, out, input_shape, force, reference,
                              images, {
                                  **card, 'precision': precision,
                                  'verified_on': verified_on
                              }, opset)
    report(f'      largest relative difference: {difference:.2e} on '
           f'{verified_on}')
    return difference


def _wrapped(model: BaseModel, with_preprocess: bool,
             input_shape: tuple[int, int, int]) -> ExportWrapper:
    try:
        fused = fuse_for_inference(model)
    except TypeError as error:
        raise ConfigError(str(error)) from error
    if not with_preprocess:
        return ExportWrapper(fused)
    mean, std = _normalisation(model, input_shape[0])
    return ExportWrapper(
        fused,
        mean,
        std,
        reverse_channels=not (model.data_preprocessor.to_rgb
                              or input_shape[0] == 1))


def _normalisation(model: BaseModel,
                   channels: int) -> tuple[list[float], list[float]]:
    preprocessor = model.data_preprocessor
    if getattr(preprocessor, 'mean', None) is None:
        # The model takes images as they are.
        return [0.] * channels, [1.] * channels
    return (preprocessor.mean.flatten().tolist(),
            preprocessor.std.flatten().tolist())


def _card(model: BaseModel, cfg: Config, names: Sequence[str],
          input_shape: tuple[int, int,
                             int], wrapper: ExportWrapper) -> dict[str, Any]:
    mean, std = _normalisation(model, input_shape[0])
    divisor = getattr(model.data_preprocessor, 'pad_size_divisor', 1)
    if any(side % divisor for side in input_shape[1:]):
        raise ConfigError(
            f'the data_preprocessor pads images to multiples of {divisor}, '
            f'which exported files do not: give {option("shape", ...)} of '
            'such multiples, '
            'or set pad_size_divisor to 1')
    return dict(
        input_shape=input_shape,
        input=RAW if wrapper.raw else NORMALISED,
        mean=mean,
        std=std,
        channels='RGB' if model.data_preprocessor.to_rgb else 'BGR',
        pipeline=recorded_pipeline(cfg, input_shape[1:]),
        output=wrapper.output,
        classes=list(names))
