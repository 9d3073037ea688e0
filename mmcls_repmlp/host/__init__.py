"""The host, which this package plugs into: mmcls or mmpretrain.

All that is taken from it is taken from here, so that no other module needs to
know which one it is.
"""
from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from torch import Tensor

from .choice import (check_versions, choose_host, host_module,
                     silence_import_warnings)

NAME = choose_host()
# The scope of this package's own configs, which every host knows.
DEFAULT_SCOPE = 'mmcls'
check_versions(NAME)
with silence_import_warnings():
    _host = host_module(NAME)
    _registry = host_module(NAME, 'registry')
    _models = host_module(NAME, 'models')
    _batch_augments = host_module(NAME, 'models.utils.batch_augments')
    _datasets = host_module(NAME, 'datasets')
    _evaluation = host_module(NAME, 'evaluation')
    _own = import_module(f'.{NAME}', __name__)

_Inferencer: Any = _host.ImageClassificationInferencer
ModelHub: Any = host_module(NAME, 'apis.model').ModelHub

BATCH_AUGMENTS: Any = _registry.BATCH_AUGMENTS
DATASETS: Any = _registry.DATASETS
HOOKS: Any = _registry.HOOKS
METRICS: Any = _registry.METRICS
MODELS: Any = _registry.MODELS
OPTIMIZERS: Any = _registry.OPTIMIZERS
OPTIM_WRAPPER_CONSTRUCTORS: Any = _registry.OPTIM_WRAPPER_CONSTRUCTORS
PARAM_SCHEDULERS: Any = _registry.PARAM_SCHEDULERS
TRANSFORMS: Any = _registry.TRANSFORMS
WEIGHT_INITIALIZERS: Any = _registry.WEIGHT_INITIALIZERS

ArcFaceClsHead: Any = _models.heads.ArcFaceClsHead
BaseBackbone: Any = _models.backbones.base_backbone.BaseBackbone
BaseRetriever: Any = _models.BaseRetriever
GlobalAveragePooling: Any = _models.necks.GlobalAveragePooling
LinearClsHead: Any = _models.heads.LinearClsHead
SELayer: Any = _models.utils.SELayer
build_backbone: Any = _models.build_backbone
build_classifier: Any = _models.build_classifier
make_divisible: Any = _models.utils.make_divisible
CutMix: Any = _batch_augments.CutMix
Mixup: Any = _batch_augments.Mixup

CustomDataset: Any = _datasets.CustomDataset
ImageNet: Any = _datasets.ImageNet
ImageNet21k: Any = _datasets.ImageNet21k
ResizeEdge: Any = _datasets.transforms.ResizeEdge
build_dataset: Any = _datasets.build_dataset
expanduser: Any = _datasets.base_dataset.expanduser

Accuracy: Any = _evaluation.Accuracy
ConfusionMatrix: Any = _evaluation.ConfusionMatrix
SingleLabelMetric: Any = _evaluation.SingleLabelMetric

# What each host has in its own way.
DataSample: Any = _own.DataSample  # of one image: its labels and scores
LinearReduction: Any = _own.LinearReduction  # a neck, with `reduction`, `norm`
PACKERS: tuple[type, ...] = _own.PACKERS  # the last steps of pipelines
Visualizer: Any = _own.Visualizer
# Of a DataSample, or of the dict that it becomes in evaluators.
gt_labels: Callable[[Any], Tensor] = _own.gt_labels  # (labels,), integers
pred_labels: Callable[[Any], Tensor] = _own.pred_labels  # (labels,), integers
pred_scores: Callable[[Any], Tensor] = _own.pred_scores  # (classes,)
# (visualizer, image, sample, out_file, rescale_factor): write an RGB image
# (H, W, 3), scaled, with its classes, to a file.
draw: Callable[..., None] = _own.draw


class ImageClassificationInferencer(_Inferencer):
    """The host's inferencer, with what mmengine 0.10 asks and mmcls lacks."""

    show_progress = False
