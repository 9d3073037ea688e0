"""Make a checkpoint for images of another size out of a trained one."""
from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModel

from mmcls_repmlp.checkpoints import (CHECKPOINT_SUFFIXES, converted_meta,
                                      keep_dtype, load_strictly,
                                      newest_checkpoint, read_checkpoint,
                                      resized_state_dict, state_dict_of,
                                      write_checkpoint)
from mmcls_repmlp.models import RepMLPNet
from repmlp_lite.errors import ConfigError, JobFailedError, UserError
from repmlp_lite.files import check_suffix, check_writable

from .shared.config import read_config
from .shared.model import build_model
from .shared.source import check_config_beside, write_config_beside

_SIZE = 'model.backbone.img_size'
_BLURRED = ('      deploy form: the local convolutions that were merged into '
            'fc3 are resized, and so blurred, with it; they keep their size '
            'in a training checkpoint, which is the better thing to resize')


def resize_checkpoint(config: str | Path,
                      src: str | Path,
                      dst: str | Path,
                      to: Sequence[int],
                      key: str | None = None,
                      force: bool = False,
                      cfg_options: Mapping[str, Any] | None = None,
                      report: Callable[[str], None] = print) -> BaseModel:
    """Resize the partitions of a RepMLPNet checkpoint and write it.

    Args:
        config: Config that ``src`` belongs to, of either form.
        src: Path or URL of the checkpoint.
        dst: File to write, ending in .pth or .pt.
        to: New height and width of the images, or one number for both.
        key: Entry of ``src`` that holds the weights. Defaults to the only one.
        force: Whether an existing file is replaced. Defaults to False.
        cfg_options: Settings to change in the config. Defaults to none.
        report: Called with a line for every step. Defaults to print.

    Returns:
        The model for the new size, with its weights, in eval mode.

    Raises:
        UserError: If a file or the size is not usable, or ``dst`` would be
            overwritten.
        JobFailedError: If the result does not run; nothing is written then.
    """
    check_suffix(dst, CHECKPOINT_SUFFIXES, 'a checkpoint')
    src = newest_checkpoint(src)
    check_writable(dst, force, src)
    check_config_beside(dst, force, config)
    cfg = read_config(config, cfg_options)
    report(f'[1/4] reading {src}')
    checkpoint = read_checkpoint(src)
    report('[2/4] building both models, loading the checkpoint strictly')
    weights = state_dict_of(checkpoint, src, key)
    source = _repmlpnet(cfg, config)
    keep_dtype(source, weights)
    load_strictly(source, weights, src)
    new_cfg = _for_size(cfg, to)
    target = _repmlpnet(new_cfg, config).to(next(source.parameters()).dtype)
    _check_sizes(source, target)
    report('[3/4] resizing fc3, stage by stage: ' +
           ', '.join(f'{_by(a)} to {_by(b)}'
                     for a, b in zip(*map(_sizes, (source, target)))))
    if source.backbone.deploy:
        report(_BLURRED)
    load_strictly(target, resized_state_dict(source, target), src)
    _run_once(target, new_cfg)
    report(f'[4/4] writing {dst}')
    meta = converted_meta(checkpoint)
    write_config_beside(new_cfg, dst, force)
    write_checkpoint(
        dict(meta=meta, state_dict=target.state_dict()), dst, force)
    report(f'      use it with {_SIZE}={new_cfg.model.backbone.img_size} and '
           'a pipeline that gives such images; fine-tune before you rely on '
           'it')
    return target


def _repmlpnet(cfg: Config, path: str | Path) -> BaseModel:
    model = build_model(cfg)
    if not isinstance(getattr(model, 'backbone', None), RepMLPNet):
        raise ConfigError(f'config {str(path)!r} has no RepMLPNet as its '
                          'backbone: there are no partitions to resize')
    return model


def _for_size(cfg: Config, to: Sequence[int]) -> Config:
    if not 1 <= len(to) <= 2 or min(to) < 1:
        raise UserError('the new size must be a height and a width, or one '
                        f'number for both, in pixels: got {to!r}')
    resized = copy.deepcopy(cfg)
    resized.model.backbone.img_size = to[0] if len(to) == 1 else (*to, )
    return resized


def _check_sizes(source: BaseModel, target: BaseModel) -> None:
    if _sizes(source) == _sizes(target):
        raise UserError(
            f'images of {_by(target.backbone.img_size)} have the partitions '
            f'that the checkpoint has, made for '
            f'{_by(source.backbone.img_size)}: there is nothing to resize')


def _run_once(model: BaseModel, cfg: Config) -> None:
    shape = (cfg.model.backbone.get('in_channels',
                                    3), *model.backbone.img_size)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(1, *shape, generator=generator)
    with torch.no_grad():
        outputs = model.backbone(images.to(next(model.parameters()).dtype))
    if not all(out.isfinite().all() for out in outputs):
        raise JobFailedError('the resized model gives outputs that are not '
                             'finite, nothing was written')


def _sizes(model: BaseModel) -> list[tuple[int, int]]:
    return model.backbone.partition_grid.sizes


def _by(size: Sequence[int]) -> str:
    return f'{size[0]}x{size[1]}'
