"""From a config to a model."""
from __future__ import annotations

import copy
from importlib import import_module
from typing import Any

import torch
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.registry import MODELS as ALL_MODELS
from mmengine.registry import init_default_scope

from mmcls_repmlp.host import MODELS
from mmcls_repmlp.models.backbone import MergeableBackbone
from repmlp_lite.errors import ConfigError

from .config import config_errors


def build_model(cfg: Config) -> BaseModel:
    """Build the model of a config, in eval mode and with random weights.

    The config's ``default_scope`` may be that of another package of OpenMMLab.
    Raise ConfigError if it cannot be built, or that is not installed.
    """
    init_default_scope(cfg.default_scope)
    model_cfg = copy.deepcopy(cfg.model)
    if 'data_preprocessor' in cfg:
        # A runner hands this on in the same way.
        model_cfg.setdefault('data_preprocessor', cfg.data_preprocessor)
    with config_errors('the model of the config cannot be built'):
        _check_scope(cfg.default_scope)
        return MODELS.build(model_cfg).eval()


def _check_scope(scope: str) -> None:
    """Raise where mmengine would fall back to the host's registry."""
    try:
        import_module(f'{scope}.registry')
    except ImportError as error:
        if scope in ALL_MODELS.children:  # of no package of its own
            return
        package = MODULE2PACKAGE.get(scope, scope)
        raise ConfigError(
            f'the config is for {package} (default_scope {scope!r}), which '
            f'cannot be imported ({error}): run pip install {package}'
        ) from error


def build_on_meta(cfg: Config) -> BaseModel:
    """Build the model of a config without memory: shapes, but no weights."""
    cfg = copy.deepcopy(cfg)
    # Of no weight, but the host announces batch augmentations in the log.
    cfg.model.pop('train_cfg', None)
    with torch.device('meta'):
        return build_model(cfg)


def own_backbone(cfg: Config) -> MergeableBackbone | None:
    """Build the backbone of a config without memory, if it is of this package.

    Raise ConfigError if it cannot be built.
    """
    kind: Any = (cfg.model.get('backbone') or {}).get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    is_ours = isinstance(kind, type) and issubclass(kind, MergeableBackbone)
    return build_on_meta(cfg).backbone if is_ours else None


def unwrap(model: BaseModel) -> BaseModel:
    """Return a model itself, without its wrapper for several processes."""
    return model.module if is_model_wrapper(model) else model
