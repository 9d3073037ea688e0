"""A checkpoint with the config that it belongs to, as one value."""
from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.model import BaseModel
from torch import Tensor

from mmcls_repmlp.checkpoints import (class_names, keep_dtype, load_strictly,
                                      newest_checkpoint, read_checkpoint,
                                      state_dict_of)
from mmcls_repmlp.models.compatibility import is_merged
from mmcls_repmlp.reparam import (drop_injection, has_branches,
                                  inject_by_config, is_injected)
from repmlp_lite.console import warn
from repmlp_lite.errors import ConfigError, UserError, translate

from .config import read_config
from .model import build_model, own_backbone
from .work_dir import config_beside


@dataclass(frozen=True)
class Source:
    """A checkpoint that has been read, and its config."""
    config: str | Path  # file
    checkpoint: str | Path  # file or URL
    cfg: Config  # with settings changed
    content: Any  # all that the checkpoint holds
    weights: Mapping[str, Tensor]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Classes that the checkpoint names; empty if it names none."""
        return class_names(self.content)

    def load_model(self,
                   device: str = 'cpu',
                   either_form: bool = False,
                   own_dtype: bool = False) -> BaseModel:
        """Build the model, in eval mode, with exactly these weights.

        ``either_form`` says whether the form of the weights, training or
        deploy, overrides that of the config; ``own_dtype`` whether the model
        gets their dtype, else float32.
        """
        if either_form and own_backbone(self.cfg) is not None:
            self.cfg.model.backbone.deploy = is_merged(self.weights)
        model = build_model(self.cfg)
        inject_by_config(self.cfg, model)
        if own_dtype:
            keep_dtype(model, self.weights)
        load_strictly(model, self.weights, self.checkpoint)
        # Labels of data are compared with these.
        model.class_names = self.class_names
        with translate(
                UserError, f'device {device!r} cannot be used here, choose '
                'cpu, or cuda:0 where there is a GPU', RuntimeError,
                AssertionError):
            return model.to(device)

    def deploy_config(self) -> Config:
        """Copy the config of the training form into that of the deploy form.

        Raises:
            ConfigError: If it is not a config of the training form.
        """
        backbone = self.cfg.model.get('backbone')
        if is_injected(self.cfg):
            deployed = copy.deepcopy(self.cfg)
            drop_injection(deployed)
            if own_backbone(deployed) is not None:
                deployed.model.backbone.deploy = True
            return deployed
        if not isinstance(backbone, Mapping):
            raise ConfigError(f'config {str(self.config)!r} has no '
                              'model.backbone to convert')
        if backbone.get('deploy'):
            raise ConfigError(f'config {str(self.config)!r} is a deploy '
                              'config (backbone deploy=True): name the '
                              'training config')
        deployed = copy.deepcopy(self.cfg)
        deployed.model.backbone.deploy = True
        return deployed


def open_source(config: str | Path | None,
                checkpoint: str | Path,
                key: str | None = None,
                cfg_options: Mapping[str, Any] | None = None) -> Source:
    """Read a checkpoint and the config that belongs to it.

    Args:
        config: Config file. None for the one beside the checkpoint, see
            :func:`config_beside`; a line on stderr names it.
        checkpoint: Path or URL, or the work folder of a training run for its
            newest checkpoint.
        key: Entry that holds the weights. Defaults to the only one.
        cfg_options: Settings to change, by dotted key. Defaults to none.

    Raises:
        ConfigError: If there is no config, or it cannot be read.
        CheckpointError: If the checkpoint cannot be read.
    """
    checkpoint = newest_checkpoint(checkpoint)
    found = config_beside(checkpoint) if config is None else config
    if config is None:
        warn(f'config {found}')
    cfg = read_config(found, cfg_options)
    folder = Path(checkpoint).parent
    # Shared models may lie in a folder that is closed.
    if config is None and os.access(folder, os.W_OK):
        cfg.work_dir = str(folder)
    content = read_checkpoint(checkpoint)
    weights = state_dict_of(content, checkpoint, key)
    if not has_branches(weights):  # of the plain network, or merged
        drop_injection(cfg)
    return Source(found, checkpoint, cfg, content, weights)
