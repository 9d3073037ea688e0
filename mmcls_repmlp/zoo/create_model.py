"""Models by name, in the words of timm."""
from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor

from mmcls_repmlp.checkpoints import (load_strictly, read_checkpoint,
                                      resized_state_dict, state_dict_of)
from mmcls_repmlp.host import NAME
from mmcls_repmlp.host.model_index import config_of, indexed_models
from mmcls_repmlp.models.argument_checks import check_pair, check_stages
from mmcls_repmlp.models.backbone import MergeableBackbone
from mmcls_repmlp.models.compatibility import is_merged
from mmcls_repmlp.recipe.image_size import scale_pipelines
from mmcls_repmlp.recipe.settings import set_classes
from repmlp_lite.errors import UserError, did_you_mean

from .classifier import Classifier

# Models of model-index.yml by name, one for each size; the first is default.
_ENTRIES = dict(
    repmlpnet_t=('repmlp-tiny_8xb32_in1k', 'repmlp-tiny_8xb32_in1k-256px'),
    repmlpnet_b=('repmlp-base_8xb64_in1k', 'repmlp-base_8xb64_in1k-256px'),
    repmlpnet_d=('repmlp-deep_8xb32_in1k-256px', ),
    repmlpnet_l=('repmlp-large_8xb32_in1k-256px', ),
    repmlp_resnet50_light_g4=('repmlp-resnet50-light-g4_8xb32_in1k', ),
    repmlp_resnet50_light_g8=('repmlp-resnet50-light-g8_8xb32_in1k', ),
    repmlp_resnet50_bottleneck_g8=(
        'repmlp-resnet50-bottleneck-g8_8xb32_in1k', ),
    repmlp_resnet50_bottleneck_g8_16=(
        'repmlp-resnet50-bottleneck-g8-16_8xb32_in1k-320px', ),
    repmlp_resnet50_bottleneck_g8_8=(
        'repmlp-resnet50-bottleneck-g8-8_8xb32_in1k-320px', ),
    repmlp_resnet50_bottleneck_g4_8=(
        'repmlp-resnet50-bottleneck-g4-8_8xb32_in1k-320px', ),
    repmlp_cifar=('repmlp-cifar_1xb128_cifar10', ),
    repmlp_faceresnet=('repmlp-faceresnet_4xb64_faces-96px', ),
    resmlp_s12=('resmlp-s12_8xb128_in1k', ),
    resmlp_s24=('resmlp-s24_8xb128_in1k', ),
    resmlp_b24=('resmlp-b24_8xb128_in1k', ),
    resmlp_s12_local=('resmlp-s12-local_8xb128_in1k', ),
    resmlp_s24_local=('resmlp-s24-local_8xb128_in1k', ),
    resmlp_b24_local=('resmlp-b24-local_8xb128_in1k', ))


def list_models(filter: str = '*', pretrained: bool = False) -> list[str]:
    """List the names that :func:`create_model` takes.

    Args:
        filter: Pattern of the names, such as ``'repmlpnet_*'``. Defaults to
            all.
        pretrained: Whether to list only those with weights to download.
            Defaults to False.
    """
    return [
        name for name in _ENTRIES
        if fnmatch(name, filter) and (not pretrained or any(
            url for _, url in _configs(name)))
    ]


def create_model(name: str,
                 num_classes: int | None = None,
                 img_size: int | Sequence[int] | None = None,
                 in_chans: int = 3,
                 pretrained: bool = False,
                 checkpoint_path: str | Path | None = None,
                 features_only: bool = False,
                 out_indices: int | Sequence[int] | None = None,
                 **kwargs: Any) -> Classifier | MergeableBackbone:
    """Create a model of either paper as a plain PyTorch module.

    Args:
        name: One of :func:`list_models`.
        num_classes: Number of classes; 0 for features without a classifier.
            Defaults to that of the model's data set.
        img_size: Height and width of the images, or one number for both.
            Defaults to the model's own.
        in_chans: Channels of the images. Defaults to 3.
        pretrained: Whether to download weights. The classifier stays random
            if ``num_classes`` differs, and layers are resized to another
            ``img_size``. Defaults to False.
        checkpoint_path: Checkpoint to load, strictly; its form, training or
            deploy, becomes that of the model. Defaults to none.
        features_only: Whether to return the backbone alone, which maps images
            to a tuple of maps. Defaults to False.
        out_indices: Stages of these maps; negative ones count from the last.
            Defaults to all.
        **kwargs: Arguments of the backbone, such as ``drop_path_rate``.

    Returns:
        The model in training mode, as any new module is.

    Raises:
        UserError: If the name is unknown or has no weights to download, or if
            a checkpoint cannot be read or does not fit.
        ValueError: If an argument is out of range.
    """
    init_default_scope(NAME)
    size = None if img_size is None else check_pair('img_size', img_size)
    cfg, url = _choose(name, size)
    weights, source = None, checkpoint_path or url
    if checkpoint_path is not None or pretrained:
        if not source:
            raise UserError(
                f'there are no weights of {name!r} to download, but of '
                f'{", ".join(list_models(pretrained=True))}; '
                'docs/model_zoo.md says how to convert official ones')
        weights = state_dict_of(read_checkpoint(source), source)
        kwargs.setdefault('deploy', is_merged(weights))
    if in_chans != 3:
        kwargs['in_channels'] = in_chans
    model = Classifier(_adapt(cfg, size, num_classes, kwargs))
    if not next(model.parameters()).is_meta:
        model.backbone.init_weights()
    if weights is not None:
        if checkpoint_path is None:
            weights = _fit(weights, cfg, model)
        load_strictly(model, weights, source)
    if not features_only:
        return model
    stages = model.backbone.num_stages
    model.backbone.out_indices = check_stages(
        'out_indices',
        range(stages) if out_indices is None else out_indices, stages)
    return model.backbone


def _choose(name: str, size: tuple[int, int] | None) -> tuple[Config, str]:
    """Read the config that fits a size best, and where its weights are."""
    if name not in _ENTRIES:
        raise UserError(f'there is no model {name!r}'
                        f'{did_you_mean(name, _ENTRIES)}; there are '
                        f'{", ".join(_ENTRIES)}')
    found = [(Config.fromfile(path), url) for path, url in _configs(name)]
    fits = [(cfg, url) for cfg, url in found
            if check_pair('img_size', cfg.model.backbone.img_size) == size]
    return (fits or found)[0]


def _configs(name: str) -> list[tuple[Path, str]]:
    models = {model.name: model for model in indexed_models()}
    return [(config_of(models[entry]), models[entry].weights or '')
            for entry in _ENTRIES[name]]


def _adapt(cfg: Config, size: tuple[int, int] | None, num_classes: int | None,
           settings: Mapping[str, Any]) -> Config:
    """Copy a config with another image size, classes and settings."""
    cfg = copy.deepcopy(cfg)
    cfg.model.backbone.pop('out_indices', None)  # the last stage
    before = check_pair('img_size', cfg.model.backbone.img_size)
    if size not in (None, before):
        scale_pipelines(cfg, before, size)
        cfg.model.backbone.img_size = size
    cfg.model.backbone.update(settings)
    if num_classes is not None:
        set_classes(cfg, num_classes)
    return cfg


def _fit(weights: Mapping[str, Tensor], cfg: Config,
         model: Classifier) -> dict[str, Tensor]:
    """Fit weights of the model of a config to another size and classes."""
    with torch.device('meta'):
        trained = Classifier(_adapt(cfg, None, None, {}))
    resized = resized_state_dict(trained, model, weights)
    own = model.state_dict()
    if {
            key: value.shape
            for key, value in own.items()
    } == {
            key: value.shape
            for key, value in resized.items()
    }:
        return resized
    return {
        key: resized.get(key, value) if key.startswith('backbone.') else value
        for key, value in own.items()
    }
