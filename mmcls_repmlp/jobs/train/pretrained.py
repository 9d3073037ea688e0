"""Weights that training starts from: ``init_cfg`` of type Pretrained.

Left to itself, mmengine only warns of weights that are missing or have another
shape, and reads the file after everything else was built.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from torch import Tensor

from mmcls_repmlp.checkpoints import (check_fit, local_file, read_checkpoint,
                                      state_dict_of)
from mmcls_repmlp.jobs.shared.settings import iter_items
from repmlp_lite.errors import CheckpointError, ConfigError


def fetch_pretrained(
        model_cfg: MutableMapping) -> dict[str, dict[str, Tensor]]:
    """Read all that a model starts from, safely, before it is built.

    Every Pretrained of the config, wherever it stands, is made to name a file
    on this machine, in place.

    Args:
        model_cfg: Config of the model.

    Returns:
        The weights of each file, by its path.

    Raises:
        UserError: If one is missing, or cannot be read safely.
    """
    if model_cfg.get('pretrained'):  # what the host's classifiers call it too
        model_cfg['init_cfg'] = ConfigDict(
            type='Pretrained', checkpoint=model_cfg.pop('pretrained'))
    checkpoints = {}
    for cfg in _pretrained(model_cfg):
        if not cfg.get('checkpoint'):
            raise ConfigError('an init_cfg of type Pretrained has no '
                              'checkpoint: name the file or URL to start from')
        # Under another spelling, such as mmengine.Pretrained, mmengine would
        # let other initialisers overwrite it.
        cfg['type'] = 'Pretrained'
        path = cfg['checkpoint'] = str(local_file(cfg['checkpoint']))
        if path not in checkpoints:
            checkpoints[path] = state_dict_of(read_checkpoint(path), path)
    return checkpoints


def check_pretrained(model: BaseModel,
                     checkpoints: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Make sure that each module is filled exactly by what it starts from.

    Args:
        model: The model, not initialised yet.
        checkpoints: What :func:`fetch_pretrained` returned.

    Raises:
        CheckpointError: If weights are missing, left over, or of another
            shape.
    """
    for module in model.modules():
        for cfg in _pretrained(getattr(module, 'init_cfg', None)):
            path, prefix = cfg['checkpoint'], cfg.get('prefix')
            weights = _below(prefix, checkpoints[path])
            if not weights:
                raise CheckpointError(f'checkpoint {path!r} holds no weights '
                                      f'below {prefix!r}: check the prefix of '
                                      'init_cfg')
            if not prefix and all(f'backbone.{key}' in weights
                                  for key in dict(module.named_parameters())):
                raise CheckpointError(
                    f'checkpoint {path!r} holds a whole classifier: give '
                    "init_cfg of the backbone prefix='backbone.'")
            check_fit(module, weights, path)


def _pretrained(cfg: Any) -> Iterator[Any]:
    """Find every Pretrained in a config, however deep it lies."""
    for _, value in iter_items([cfg]):
        if isinstance(value, Mapping) and str(
                value.get('type')).split('.')[-1] == 'Pretrained':
            yield value


def _below(prefix: str | None,
           weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Take the weights that mmengine will take, by the names it will use."""
    if not prefix:
        return weights
    prefix = prefix.removesuffix('.') + '.'
    return {
        key.removeprefix(prefix): value
        for key, value in weights.items() if key.startswith(prefix)
    }
