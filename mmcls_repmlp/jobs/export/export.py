"""Export of a checkpoint for other runtimes."""
from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModel

from mmcls_repmlp.checkpoints import newest_checkpoint
from mmcls_repmlp.export.export_model import check_export, export_model
from mmcls_repmlp.export.export_wrapper import ExportWrapper
from mmcls_repmlp.jobs.shared.device import warn_of_slow_bfloat16
from mmcls_repmlp.jobs.shared.source import Source, open_source
from mmcls_repmlp.reparam import fuse_for_inference, input_shape
from repmlp_lite.command_line.choices import INT8, PRECISIONS
from repmlp_lite.console import say
from repmlp_lite.errors import ConfigError, UserError, option, translate
from repmlp_lite.exported.card import LOGITS, NORMALISED, RAW

from .sample_data import record_pipeline, sample_images
from .write_int8 import write_int8

# Formats without a precision, and the reason, on a CPU.
_IMPOSSIBLE = {
    ('.onnx', 'bf16'): 'ONNX Runtime has no bf16 convolution',
    ('.xml', 'bf16'): 'OpenVINO uses bf16 by itself where it can',
    ('.xml', 'fp16'): 'OpenVINO chooses its precision by itself',
    ('.xml', INT8): 'only .onnx files can be quantized here',
    ('.pt2', INT8): 'only .onnx files can be quantized here',
}


def export_checkpoint(config: str | Path | None,
                      checkpoint: str | Path,
                      out: str | Path,
                      *,
                      precision: str = 'fp32',
                      with_preprocess: bool = False,
                      calibrate: str | Path | None = None,
                      shape: tuple[int, int] | None = None,
                      opset: int | None = None,
                      key: str | None = None,
                      cfg_options: Mapping[str, Any] | None = None,
                      force: bool = False) -> float:
    """Export a checkpoint in its fused form and compare before writing.

    The card beside OUT, ``OUT.json``, holds the test pipeline, the classes,
    and the SHA-256 of every part.

    Args:
        config: As of :func:`open_source`, of either form.
        checkpoint: As of :func:`open_source`, of either form.
        out: File to write: .onnx, .xml or .pt2.
        precision: 'fp32' (default), 'fp16', 'bf16', or 'int8' for .onnx.
        with_preprocess: Whether the file normalises raw uint8 RGB images.
        calibrate: For int8, a folder of images in subfolders to set ranges by.
        shape: Height and width. Defaults to the backbone's ``img_size``.
        opset: Version of ONNX's operators. Defaults to torch's own choice.
        key: As of :func:`open_source`.
        cfg_options: As of :func:`open_source`.
        force: Whether existing files are replaced. Defaults to False.

    Returns:
        The largest relative difference between file and model; for int8 the
        percentage points of top-1 that were lost.

    Raises:
        UserError: If something given is not usable.
        JobFailedError: If the written file differs; it is removed then.
    """
    out = Path(out)
    check_export(out, force)
    checkpoint = newest_checkpoint(checkpoint)
    _check_request(out.suffix, precision, calibrate, opset)
    if precision == 'bf16':
        warn_of_slow_bfloat16('export in fp32, unless it is for another one')
    source = open_source(config, checkpoint, key, cfg_options)
    say(f'[1/3] reading {checkpoint}')
    cfg, model = source.cfg, source.load_model(either_form=True)
    size = input_shape(model, shape)
    say('[2/3] folding norms and merging branches')
    with translate(ConfigError, 'the model cannot be exported', TypeError):
        wrapper = ExportWrapper(fuse_for_inference(model))
    if with_preprocess:
        wrapper = ExportWrapper(
            wrapper.model, *_normalisation(model, size[0]), size[0] == 3
            and not model.data_preprocessor.to_rgb)
    if precision == INT8 and wrapper.output != LOGITS:
        raise UserError(
            'int8 is compared with fp32 by top-1, which embeddings '
            'do not have: export in another precision')
    card = _card(source, model, wrapper, size)
    card['precision'] = precision
    if isinstance(card['pipeline'], str):
        say(f'      predict.py cannot read images for it: {card["pipeline"]}')
    say(f'[3/3] writing {out} and running it')
    if precision == INT8:
        card['verified_on'] = 'all images of the test data'
        return write_int8(wrapper, model, cfg, out, size, str(calibrate), card,
                          force)
    exported, images = wrapper, []
    if precision != 'fp32':
        # Real images have larger activations than noise has, and the model in
        # half precision can be wrong itself.
        images = sample_images(cfg, model, wrapper.raw, size)
        exported = copy.deepcopy(wrapper).to_precision(
            getattr(torch, PRECISIONS[precision]))
    card['verified_on'] = (
        f'{sum(map(len, images))} images of the test data, against fp32'
        if images else 'random images')
    difference = export_model(
        exported,
        out,
        size,
        force=force,
        reference=None if exported is wrapper else wrapper,
        images=images,
        card=card,
        opset=opset)
    say(f'      largest relative difference: {difference:.2e} on '
        f'{card["verified_on"]}')
    return difference


def _check_request(suffix: str, precision: str, calibrate: str | Path | None,
                   opset: int | None) -> None:
    reason = _IMPOSSIBLE.get((suffix, precision))
    if reason:
        raise UserError(f'{suffix} cannot be written in {precision}: {reason}')
    if (precision == INT8) != (calibrate is not None):
        raise UserError(f'{option("precision", INT8)} and '
                        f'{option("calibrate", "FOLDER")} go together: '
                        'give both or none')
    if calibrate is not None and not Path(calibrate).is_dir():
        raise UserError(f'{option("calibrate", calibrate)} is not a folder: '
                        'name one of images, in subfolders')
    if opset is not None and (suffix != '.onnx' or precision == INT8):
        raise UserError(f'{option("opset", opset)} is for .onnx files that '
                        'are not quantized: leave it out')


def _normalisation(model: BaseModel,
                   channels: int) -> tuple[list[float], list[float]]:
    norm = model.data_preprocessor
    if getattr(norm, 'mean', None) is None:  # images stay as they are
        return [0.] * channels, [1.] * channels
    return norm.mean.flatten().tolist(), norm.std.flatten().tolist()


def _card(source: Source, model: BaseModel, wrapper: ExportWrapper,
          input_shape: tuple[int, int, int]) -> dict[str, Any]:
    mean, std = _normalisation(model, input_shape[0])
    order = 'RGB' if model.data_preprocessor.to_rgb else 'BGR'
    if wrapper.raw and order == 'BGR':  # the file converts them itself
        order, mean, std = 'RGB', mean[::-1], std[::-1]
    divisor = getattr(model.data_preprocessor, 'pad_size_divisor', 1)
    if any(side % divisor for side in input_shape[1:]):
        raise ConfigError(
            f'the data_preprocessor pads images to multiples of {divisor}, '
            f'which exported files do not: give {option("shape", ...)} of '
            'such multiples, or set pad_size_divisor to 1')
    return dict(
        input_shape=input_shape,
        input=RAW if wrapper.raw else NORMALISED,
        mean=mean,
        std=std,
        channels=order,  # that the file takes, and of mean and std
        pipeline=record_pipeline(source.cfg, input_shape[1:]),
        output=wrapper.output,
        classes=[*source.class_names])
