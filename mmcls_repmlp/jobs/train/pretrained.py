"""Pretrained weights of ``init_cfg``, checked strictly before training."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from torch import Tensor

from mmcls_repmlp.checkpoints import (check_fit, local_file, read_checkpoint,
                                      state_dict_of)
from mmcls_repmlp.models.local_layers import with_own_branches
from mmcls_repmlp.recipe.settings import iter_items
from repmlp_lite.errors import CheckpointError, ConfigError

from .image_size import ResizedWeights


def fetch_pretrained(
        model_cfg: MutableMapping,
        resized: ResizedWeights | None = None) -> dict[str, dict[str, Tensor]]:
    """Read all checkpoints that a model starts from, before it is built.

    mmengine only warns if weights are missing or have another shape. Every
    ``Pretrained`` in the config is changed to name a local file, or the one
    that ``resized`` will write. Return the weights by file path.
    """
    if model_cfg.get('pretrained'):  # an alias in the host's classifiers
        model_cfg['init_cfg'] = ConfigDict(
            type='Pretrained', checkpoint=model_cfg.pop('pretrained'))
    fitted, checkpoints = dict[str, str](), {}
    for cfg in _iter_pretrained(model_cfg):
        if not cfg.get('checkpoint'):
            raise ConfigError('an init_cfg of type Pretrained has no '
                              'checkpoint: name the file or URL to start from')
        # Under another spelling, such as mmengine.Pretrained, mmengine would
        # let other initialisers overwrite it.
        cfg['type'] = 'Pretrained'
        path = cfg['checkpoint'] = str(local_file(cfg['checkpoint']))
        if path not in fitted:
            content, fitted[path] = (resized or ResizedWeights()).fit(
                read_checkpoint(path), path)
            checkpoints[fitted[path]] = state_dict_of(content, path)
        cfg['checkpoint'] = fitted[path]
    return checkpoints


def check_pretrained(model: BaseModel,
                     checkpoints: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Raise CheckpointError if weights do not fit their modules exactly."""
    for module in model.modules():
        for cfg in _iter_pretrained(getattr(module, 'init_cfg', None)):
            path = cfg['checkpoint']
            prefix = (cfg.get('prefix') or '').removesuffix('.')
            weights = {  # as mmengine will select and name them
                key.removeprefix(f'{prefix}.') if prefix else key: value
                for key, value in checkpoints[path].items()
                if not prefix or key.startswith(f'{prefix}.')
            }
            if not weights:
                raise CheckpointError(
                    f'checkpoint {path!r} holds no weights below '
                    f'{cfg["prefix"]!r}: check the prefix of init_cfg')
            if not prefix and all(f'backbone.{key}' in weights
                                  for key in dict(module.named_parameters())):
                raise CheckpointError(
                    f'checkpoint {path!r} holds a whole classifier: give '
                    "init_cfg of the backbone prefix='backbone.'")
            check_fit(module, with_own_branches(module, weights), path)


def _iter_pretrained(cfg: Any) -> Iterator[Any]:
    return (value for _, value in iter_items([cfg])
            if isinstance(value, Mapping)
            and str(value.get('type')).split('.')[-1] == 'Pretrained')
