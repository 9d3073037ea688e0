"""From a config, and a checkpoint, to a model."""
from __future__ import annotations

import copy
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.registry import MODELS as ALL_MODELS
from mmengine.registry import init_default_scope

from mmcls_repmlp.checkpoints import (class_names, load_strictly,
                                      read_checkpoint, state_dict_of)
from mmcls_repmlp.host import MODELS
from mmcls_repmlp.models.compatibility import is_merged
from repmlp_lite.errors import ConfigError, UserError

from .config import read_config, user_errors


def build_model(cfg: Config) -> BaseModel:
    """Build the model of a config, in eval mode and with random weights.

    The config's ``default_scope`` may be that of another package of OpenMMLab.

    Raises:
        ConfigError: If it cannot be built, or that package is not there.
    """
    init_default_scope(cfg.default_scope)
    model_cfg = copy.deepcopy(cfg.model)
    if 'data_preprocessor' in cfg:
        # A runner hands this on in the same way.
        model_cfg.setdefault('data_preprocessor', cfg.data_preprocessor)
    with user_errors('the model of the config cannot be built'):
        _check_scope(cfg.default_scope)
        return MODELS.build(model_cfg).eval()


def _check_scope(scope: str) -> None:
    """Refuse what mmengine would look up in the host's registry instead."""
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


def unwrapped(model: BaseModel) -> BaseModel:
    """Take a model out of what runs it on several processes, if it is in."""
    return model.module if is_model_wrapper(model) else model


def build_on_meta(cfg: Config) -> BaseModel:
    """Build the model of a config without memory: shapes, but no weights.

    Raises:
        ConfigError: If it cannot be built.
    """
    cfg = copy.deepcopy(cfg)
    # Of no weight, but the host announces batch augmentations in the log.
    cfg.model.pop('train_cfg', None)
    with torch.device('meta'):
        return build_model(cfg)


def load_model(config: str | Path, checkpoint: str | Path) -> BaseModel:
    """Build the model of a config and fill it, on the CPU, from a checkpoint.

    Raises:
        UserError: If one of the files is not usable, or they do not fit.
    """
    return fill_model(read_config(config), checkpoint)[0]


def fill_model(cfg: Config,
               checkpoint: str | Path,
               device: str = 'cpu',
               either_form: bool = False,
               key: str | None = None,
               content: Any = None) -> tuple[BaseModel, Any]:
    """Build the model of a config that has been read, and fill it.

    Args:
        cfg: The config.
        checkpoint: Path or URL of a checkpoint that fits it exactly.
        device: Where the model goes. Defaults to 'cpu'.
        either_form: Whether the model is built in the form of the checkpoint,
            training or deploy, whatever the config says. Defaults to False.
        key: Entry of the checkpoint that holds the weights. Defaults to the
            only one.
        content: What the checkpoint holds. Defaults to None: it is read.

    Returns:
        The model in eval mode, with the ``class_names`` that the checkpoint
        gives, empty if none, and what the checkpoint holds.

    Raises:
        UserError: If something is not usable, or does not fit.
    """
    content = content or read_checkpoint(checkpoint)
    weights = state_dict_of(content, checkpoint, key)
    if either_form and isinstance(cfg.model.get('backbone'), Mapping):
        cfg.model.backbone.deploy = is_merged(weights)
    model = build_model(cfg)
    load_strictly(model, weights, checkpoint)
    # Labels of data are held against these.
    model.class_names = class_names(content)
    try:
        return model.to(device), content
    except (RuntimeError, AssertionError) as error:
        raise UserError(f'device {device!r} cannot be used here: take cpu, '
                        f'or cuda:0 where there is a GPU ({error})') from error
