"""Adapter for mmcls, whose last version is 1.0.0rc6."""
from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mmcls.datasets.transforms import PackClsInputs
from mmcls.models.necks import LinearReduction as LinearReduction
from mmcls.structures import ClsDataSample as DataSample
from mmcls.visualization import ClsVisualizer as Visualizer
from torch import Tensor

PACKERS = (PackClsInputs, )


def _entry(label: str, name: str, sample: Any) -> Tensor:
    return sample.get(label).get(name)


gt_labels = partial(_entry, 'gt_label', 'label')
pred_labels = partial(_entry, 'pred_label', 'label')
pred_scores = partial(_entry, 'pred_label', 'score')


def draw(visualizer: Visualizer, image: np.ndarray, sample: DataSample,
         out_file: str | Path, rescale_factor: float,
         fonts: list[str]) -> None:
    """See :data:`mmcls_repmlp.host.draw`."""
    options = dict(
        rescale_factor=rescale_factor,
        out_file=str(out_file),
        text_cfg=dict(font_families=[fonts]))
    visualizer.add_datasample('', image, sample, **options)
