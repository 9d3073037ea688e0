"""Resize a trained checkpoint for images of another size."""
from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModel

from mmcls_repmlp.checkpoints import (CHECKPOINT_SUFFIXES, converted_meta,
                                      keep_dtype, load_strictly,
                                      newest_checkpoint, resized_state_dict,
                                      write_checkpoint)
from mmcls_repmlp.models import RepMLPNet
from mmcls_repmlp.reparam import input_shape
from repmlp_lite.console import say
from repmlp_lite.errors import ConfigError, JobFailedError, UserError
from repmlp_lite.files import check_suffix

from .shared.model import build_model
from .shared.source import open_source
from .shared.work_dir import check_pair_writable, write_config_beside


def resize_checkpoint(
        config: str | Path,
        src: str | Path,
        dst: str | Path,
        *,
        to: Sequence[int],
        key: str | None = None,
        force: bool = False,
        cfg_options: Mapping[str, Any] | None = None) -> BaseModel:
    """Resize the partitions of a RepMLPNet checkpoint and write it.

    Its config, for the new size, is written beside it.

    Args:
        config: Config of ``src``, in either form.
        src: Path or URL of the checkpoint.
        dst: File to write, ending in .pth, .pt or .safetensors.
        to: New height and width of the images, or one number for both.
        key: Entry of ``src`` that holds the weights. Defaults to the only one.
        force: Whether existing files are replaced. Defaults to False.
        cfg_options: Settings to change in the config. Defaults to none.

    Returns:
        The model for the new size, with its weights, in eval mode.

    Raises:
        UserError: If the size or a file cannot be used, or ``dst`` exists.
        JobFailedError: If the result does not run; nothing is written then.
    """
    src = newest_checkpoint(src)
    check_suffix(dst, CHECKPOINT_SUFFIXES, 'a checkpoint')
    check_pair_writable(dst, force, src, config)
    say(f'reading {src}')
    given = open_source(config, src, key, cfg_options)
    source = _repmlpnet(given.cfg, config)
    keep_dtype(source, given.weights)
    load_strictly(source, given.weights, src)
    if not 1 <= len(to) <= 2 or min(to) < 1:
        raise UserError('the new size must be a height and a width, or one '
                        f'number for both, in pixels: got {to!r}')
    cfg = copy.deepcopy(given.cfg)
    cfg.model.backbone.img_size = to[0] if len(to) == 1 else (*to, )
    target = _repmlpnet(cfg, config).to(next(source.parameters()).dtype)
    _report_sizes(source, target)
    load_strictly(target, resized_state_dict(source, target), src)
    with torch.no_grad():
        images = next(target.parameters()).new_ones(1, *input_shape(target))
        outputs = target.backbone(images)
    if not all(out.isfinite().all() for out in outputs):
        raise JobFailedError('the resized model gives outputs that are not '
                             'finite, nothing was written')
    content = dict(
        meta=converted_meta(given.content), state_dict=target.state_dict())
    write_checkpoint(content, dst, force)
    beside = write_config_beside(cfg, dst, force)
    say(f'{dst} and {beside} are written: use '
        'them with a pipeline that makes images of this size, and fine-tune '
        'before you rely on them')
    return target


def _repmlpnet(cfg: Config, path: str | Path) -> BaseModel:
    model = build_model(cfg)
    if not isinstance(getattr(model, 'backbone', None), RepMLPNet):
        raise ConfigError(f'config {str(path)!r} has no RepMLPNet as its '
                          'backbone: there are no partitions to resize')
    return model


def _report_sizes(source: BaseModel, target: BaseModel) -> None:
    before, after = (
        model.backbone.partition_sizes for model in (source, target))
    if before == after:
        raise UserError(
            f'images of {_format(target.backbone.img_size)} have the same '
            'partitions as the checkpoint: there is nothing to resize')
    say('resizing fc3, stage by stage: ' +
        ', '.join(f'{_format(old)} to {_format(new)}'
                  for old, new in zip(before, after)))
    if source.backbone.deploy:
        say('deploy form: the local convolutions merged into fc3 are resized, '
            'and so blurred, with it; if you can, resize the training '
            'checkpoint instead, where they keep their size')


def _format(size: Sequence[int]) -> str:
    return f'{size[0]}x{size[1]}'
