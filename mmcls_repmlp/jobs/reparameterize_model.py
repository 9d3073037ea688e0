"""Convert a training checkpoint into a verified deploy checkpoint."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.model import BaseModel

from mmcls_repmlp.checkpoints import (CHECKPOINT_SUFFIXES, converted_meta,
                                      newest_checkpoint, write_checkpoint)
from mmcls_repmlp.reparam import (Complexity, complexity, input_shape,
                                  largest_difference, reparameterize)
from repmlp_lite.console import Progress, say
from repmlp_lite.errors import JobFailedError
from repmlp_lite.files import check_suffix

from .shared.config import config_errors
from .shared.source import open_source
from .shared.work_dir import (check_config_writable, check_pair_writable,
                              write_config_beside)


class Conversion(NamedTuple):
    """Largest relative difference of outputs, and complexity of both forms."""
    difference: float
    before: Complexity
    after: Complexity


def reparameterize_checkpoint(
        config: str | Path | None,
        src: str | Path,
        dst: str | Path,
        *,
        deploy_cfg: str | Path | None = None,
        key: str | None = None,
        force: bool = False,
        cfg_options: Mapping[str, Any] | None = None) -> Conversion:
    """Convert a training checkpoint, and write it if the outputs agree.

    The config of the deploy form is written beside it, under its stem.

    Args:
        config: Config of the training form, as of :func:`open_source`.
        src: Training checkpoint, as of :func:`open_source`.
        dst: Deploy checkpoint to write, .pth.
        deploy_cfg: Another file for the deploy config. Defaults to none.
        key: As of :func:`open_source`.
        force: Whether existing files are replaced. Defaults to False.
        cfg_options: As of :func:`open_source`.

    Returns:
        The measured difference and the complexity of both forms.

    Raises:
        UserError: If a file cannot be used, or would be overwritten.
        JobFailedError: If the outputs differ; nothing is written then.
    """
    src = newest_checkpoint(src)
    check_suffix(dst, CHECKPOINT_SUFFIXES, 'a checkpoint')
    check_suffix(deploy_cfg or 'a.py', ('.py', ), 'a config')
    check_pair_writable(dst, force, src, config)
    if deploy_cfg is not None:
        check_config_writable(deploy_cfg, force, src, config)
    source = open_source(config, src, key, cfg_options)
    deployed = source.deploy_config()
    say(f'[1/5] {source.checkpoint} was read, and config {source.config}')
    say('[2/5] building the model and loading the checkpoint strictly')
    model = source.load_model(own_dtype=True)
    say('[3/5] merging')
    with config_errors('the model cannot be merged'):
        merged = reparameterize(model)
    shape = input_shape(model)
    say(f'[4/5] verifying on 2 random images of {shape[1]}x{shape[2]}')
    with Progress('verifying'):
        difference = _verify(model, merged, shape)
    conversion = Conversion(difference, complexity(model, shape),
                            complexity(merged, shape))
    say(f'      outputs agree: largest relative difference {difference:.2e}')
    for name, count in zip(('training form', 'deploy form'), conversion[1:]):
        say(f'      {name:13} {count.params:13,} params {count.macs:16,} MACs')
    beside = write_config_beside(deployed, dst, force)
    say(f'[5/5] writing {dst}', f'      and {beside}')
    write_checkpoint(
        dict(
            meta=converted_meta(source.content),
            state_dict=merged.state_dict()), dst, force)
    if deploy_cfg is not None:
        say(f'      and {write_config_beside(deployed, deploy_cfg, force)}')
    return conversion


def _verify(model: BaseModel, merged: BaseModel,
            shape: Sequence[int]) -> float:
    batch = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    difference = largest_difference(model, merged, batch)
    # Both run in float64, so only the rounding of weights may differ.
    allowed = math.sqrt(torch.finfo(next(model.parameters()).dtype).eps)
    if not difference <= allowed:  # NaN is not
        raise JobFailedError(
            'verification failed, nothing was written: outputs before and '
            f'after merging differ by {difference:.2e} of the largest, '
            f'allowed is {allowed:.2e}')
    return difference
