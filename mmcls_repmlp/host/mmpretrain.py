"""Adapter for mmpretrain and its fork onedl-mmpretrain.

mmcls' names for the same things are added to mmpretrain's registries, so that
configs written for mmcls work as they are.
"""
from __future__ import annotations

from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
from mmpretrain.datasets.transforms import PackInputs
from mmpretrain.models.necks import LinearNeck
from mmpretrain.registry import MODELS, TRANSFORMS, VISUALIZERS
from mmpretrain.structures import DataSample
from mmpretrain.visualization import UniversalVisualizer
from torch import Tensor

from . import mmcls_scope  # noqa: F401, it opens the scope


# A registry of its own would not do: mmpretrain's inferencer looks here only.
@TRANSFORMS.register_module()
class PackClsInputs(PackInputs):
    """mmpretrain's transform under mmcls' name."""


@VISUALIZERS.register_module()
class ClsVisualizer(UniversalVisualizer):
    """mmpretrain's visualizer under mmcls' name."""


PACKERS = (PackClsInputs, PackInputs)
Visualizer = ClsVisualizer
gt_labels = methodcaller('get', 'gt_label')
pred_labels = methodcaller('get', 'pred_label')
pred_scores = methodcaller('get', 'pred_score')


@MODELS.register_module()
class LinearReduction(LinearNeck):
    """mmpretrain's neck with mmcls' names of its parameters."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # In their places, which the order of a checkpoint's entries follows.
        for name in [*self._modules]:
            module = self._modules.pop(name)
            self._modules[{'fc': 'reduction'}.get(name, name)] = module

    def forward(self, inputs: Any) -> tuple[Tensor]:
        """Project the last of some features (N, C) to (N, D)."""
        features = inputs[-1] if isinstance(inputs, tuple) else inputs
        return (self.act(self.norm(self.reduction(features))), )


def draw(visualizer: UniversalVisualizer, image: np.ndarray,
         sample: DataSample, out_file: str | Path, rescale_factor: float,
         fonts: list[str]) -> None:
    """See :data:`mmcls_repmlp.host.draw`."""
    visualizer.visualize_cls(
        image,
        sample,
        rescale_factor=rescale_factor,
        out_file=str(out_file),
        text_cfg=dict(family=fonts))
