"""Export a checkpoint for other runtimes."""
from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mmcls_repmlp.checkpoints import class_names
from mmcls_repmlp.deploy import fuse_for_inference
from mmcls_repmlp.deploy.export import export_model
from mmcls_repmlp.deploy.served import Served
from mmcls_repmlp.errors import ConfigError, UserError
from mmcls_repmlp.files import atomic_write, check_writable

from .config import read_config
from .model import fill_model
from .quantize import write_int8

INT8 = 'int8'
# What weights are kept in; int8 files are made of float32 ones.
PRECISIONS = {'fp32': torch.float32, 'fp16': torch.float16,
              'bf16': torch.bfloat16, INT8: torch.float32}
# Where a precision is not to be had: what the runtime lacks on a CPU.
_WITHOUT = {('.onnx', 'bf16'): 'ONNX Runtime has no bf16 convolution',
            ('.xml', 'bf16'): 'OpenVINO uses bf16 by itself where it can',
            ('.xml', 'fp16'): 'OpenVINO chooses its precision by itself',
            **{(suffix, INT8): 'only .onnx files can be quantized here'
               for suffix in ('.xml', '.pt2', '.pt')}}


def export_checkpoint(config: str | Path,
                      checkpoint: str | Path,
                      out: str | Path,
                      precision: str = 'fp32',
                      with_preprocess: bool = False,
                      calibrate: str | Path | None = None,
                      shape: tuple[int, int] | None = None,
                      force: bool = False,
                      cfg_options: Mapping[str, Any] | None = None,
                      report: Callable[[str], None] = print) -> float:
    """Export a checkpoint in its served form and compare before writing.

    Beside OUT, ``OUT.json`` says how to prepare images and what the classes
    are.

    Args:
        config: Config of the model, of either form.
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
        cfg_options: Settings to change in the config. Defaults to none.
        report: Called with a line for every step. Defaults to print.

    Returns:
        The largest relative difference between file and model; for int8 the
        percentage points of top-1 that were lost.

    Raises:
        UserError: If something given is not usable.
        JobFailedError: If the written file differs; it is removed then.
    """
    check_writable(out, force)
    check_writable(f'{out}.json', force)
    reason = _WITHOUT.get((Path(out).suffix, precision))
    if reason:
        raise UserError(f'{Path(out).suffix} cannot be written in '
                        f'{precision}: {reason}')
    if (precision == INT8) != (calibrate is not None):
        raise UserError('--precision int8 and --calibrate FOLDER go together: '
                        'give both or none')
    cfg = read_config(config, cfg_options)
    report(f'[1/3] reading {checkpoint}')
    model, raw = fill_model(cfg, checkpoint, either_form=True)
    report('[2/3] folding everything that folds')
    try:
        fused = fuse_for_inference(model).to(PRECISIONS[precision])
    except TypeError as error:
        raise ConfigError(str(error)) from error
    served = _served(fused, model, with_preprocess)
    if calibrate is not None and served.output != 'logits':
        raise UserError('int8 is held against the float model by top-1, which '
                        'embeddings do not have: export in another precision')
    input_shape = (cfg.model.backbone.get('in_channels', 3),
                   *(shape or model.backbone.img_size))
    report(f'[3/3] writing {out} and running it')
    if calibrate is not None:
        difference = write_int8(served, model, cfg, out, input_shape,
                                calibrate, force, report)
    else:
        difference = export_model(served, out, input_shape, force)
        report(f'      largest relative difference: {difference:.2e}')
    _write_card(Path(out), _card(model, raw, input_shape, served), force)
    return difference


def _served(fused: nn.Module, model: nn.Module,
            with_preprocess: bool) -> Served:
    if not with_preprocess:
        return Served(fused)
    mean, std = _normalisation(model)
    return Served(fused, mean, std,
                  reverse_channels=not model.data_preprocessor.to_rgb)


def _normalisation(model: nn.Module) -> tuple[list[float], list[float]]:
    preprocessor = model.data_preprocessor
    if getattr(preprocessor, 'mean', None) is None:
        return [0.] * 3, [1.] * 3  # the model takes images as they are
    return (preprocessor.mean.flatten().tolist(),
            preprocessor.std.flatten().tolist())


def _card(model: nn.Module, checkpoint: Any,
          input_shape: tuple[int, int, int],
          served: Served) -> dict[str, Any]:
    mean, std = _normalisation(model)
    return dict(
        input_shape=input_shape,
        input='uint8 RGB' if served.raw else 'float32, normalised',
        mean=mean,
        std=std,
        channels='RGB' if model.data_preprocessor.to_rgb else 'BGR',
        output=served.output,
        classes=list(class_names(checkpoint)))


def _write_card(out: Path, card: dict[str, Any], force: bool) -> None:
    with atomic_write(f'{out}.json', force) as temporary:
        temporary.write_text(json.dumps(card, indent=1) + '\n')
