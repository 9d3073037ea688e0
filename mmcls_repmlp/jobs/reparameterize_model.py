"""Convert a training checkpoint into a verified deploy checkpoint."""
from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import Tensor

from mmcls_repmlp.checkpoints import (CHECKPOINT_SUFFIXES, converted_meta,
                                      keep_dtype, load_strictly,
                                      newest_checkpoint, write_checkpoint)
from mmcls_repmlp.models.compatibility import find_mismatch
from mmcls_repmlp.reparam import (Complexity, complexity, largest_difference,
                                  reparameterize)
from repmlp_lite.console import Progress
from repmlp_lite.errors import CheckpointError, ConfigError, JobFailedError
from repmlp_lite.files import atomic_write, check_suffix, check_writable

from .shared.config import config_errors
from .shared.model import build_model, build_on_meta
from .shared.source import (check_config_beside, config_beside, open_source,
                            write_config_beside)

_BATCH, _SEED = 2, 0


class Conversion(NamedTuple):
    """What a conversion did.

    Attributes:
        difference: The largest relative difference of the outputs.
        before: Complexity of the training form.
        after: Complexity of the deploy form.
    """
    difference: float
    before: Complexity
    after: Complexity


def reparameterize_checkpoint(
        config: str | Path | None,
        src: str | Path,
        dst: str | Path,
        deploy_cfg: str | Path | None = None,
        key: str | None = None,
        force: bool = False,
        cfg_options: Mapping[str, Any] | None = None,
        report: Callable[[str], None] = print) -> Conversion:
    """Convert a training checkpoint and write it if it proves equal.

    Args:
        config: Config of the training form; None for the one in ``src``.
        src: Path or URL of the training checkpoint.
        dst: File to write, ending in .pth or .pt.
        deploy_cfg: File to write the deploy config to. Defaults to none.
        key: Entry of ``src`` that holds the weights. Defaults to the only one.
        force: Whether existing files are replaced. Defaults to False.
        cfg_options: Settings to change in the config. Defaults to none.
        report: Called with a line for every step. Defaults to print.

    Returns:
        The measured difference and both forms' complexities.

    Raises:
        UserError: If a file is not usable, or would be overwritten.
        JobFailedError: If the outputs differ; nothing is written then.
    """
    src = newest_checkpoint(src)
    if config is None:
        config = config_beside(src)
    _check_targets(config, src, dst, deploy_cfg, force)
    report(f'[1/5] reading {src}, config {config}')
    source = open_source(config, src, key, cfg_options)
    cfg = source.cfg
    _check_training_form(cfg, config)
    report('[2/5] building the model and loading the checkpoint strictly')
    model = build_model(cfg)
    _load(model, cfg, source.weights, src)
    report('[3/5] merging')
    with config_errors('the model cannot be merged'):
        merged = reparameterize(model)
    height, width = getattr(model.backbone, 'img_size', (224, 224))
    shape = cfg.model.backbone.get('in_channels', 3), height, width
    report(f'[4/5] verifying on a random batch of {_BATCH} images of '
           f'{height}x{width}')
    with Progress('verifying'):
        difference = _verify(model, merged, shape)
    conversion = Conversion(difference, complexity(model, shape),
                            complexity(merged, shape))
    report('      outputs agree: largest relative difference '
           f'{difference:.2e}')
    for name, of in zip(('training form', 'deploy form'), conversion[1:]):
        report(f'      {name:13} {of.params:13,} params {of.macs:16,} MACs')
    report(f'[5/5] writing {dst}')
    deployed = _deploy_config(cfg)
    report(f'      and {write_config_beside(deployed, dst, force)}')
    meta = converted_meta(source.content)
    write_checkpoint(
        dict(meta=meta, state_dict=merged.state_dict()), dst, force)
    if deploy_cfg is not None:
        report(f'      writing {deploy_cfg}')
        with atomic_write(deploy_cfg, force) as temporary:
            temporary.write_text(deployed.pretty_text)
    return conversion


def _check_targets(config: str | Path | None, src: str | Path, dst: str | Path,
                   deploy_cfg: str | Path | None, force: bool) -> None:
    check_suffix(dst, CHECKPOINT_SUFFIXES, 'a checkpoint')
    check_writable(dst, force, src)
    check_config_beside(dst, force, config)
    if deploy_cfg is not None:
        check_suffix(deploy_cfg, ('.py', ), 'a config')
        check_writable(deploy_cfg, force, config)


def _check_training_form(cfg: Config, name: str | Path) -> None:
    backbone = cfg.model.get('backbone')
    if not isinstance(backbone, Mapping):
        raise ConfigError(f'config {str(name)!r} has no model.backbone to '
                          'convert')
    if backbone.get('deploy'):
        raise ConfigError(f'config {str(name)!r} is a deploy config '
                          '(backbone deploy=True): give the training config')


def _load(model: BaseModel, cfg: Config, state_dict: Mapping[str, Tensor],
          src: str | Path) -> None:
    keep_dtype(model, state_dict)
    try:
        load_strictly(model, state_dict, src)
    except CheckpointError:
        deployed = build_on_meta(_deploy_config(cfg))
        if find_mismatch(deployed.state_dict(), state_dict):
            raise
        raise CheckpointError(
            f'checkpoint {str(src)!r} is already converted: there is nothing '
            'to do, test it with the deploy config') from None


def _verify(model: BaseModel, merged: BaseModel, shape: tuple[int, int,
                                                              int]) -> float:
    generator = torch.Generator().manual_seed(_SEED)
    batch = torch.randn(_BATCH, *shape, generator=generator)
    difference = largest_difference(model, merged, batch)
    # Both run in float64, so all that may differ is the rounding of merged
    # weights: a defect shows in the first digits, rounding in the last half.
    allowed = math.sqrt(torch.finfo(next(model.parameters()).dtype).eps)
    if not difference <= allowed:
        raise JobFailedError(
            'verification failed, nothing was written: outputs before and '
            f'after merging differ by {difference:.2e} of the largest, '
            f'allowed is {allowed:.2e}')
    return difference


def _deploy_config(cfg: Config) -> Config:
    deployed = copy.deepcopy(cfg)
    deployed.model.backbone.deploy = True
    return deployed
