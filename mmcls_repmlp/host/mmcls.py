"""What mmcls, the last of whose versions is 1.0.0rc6, does in its own way."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmcls.datasets.transforms import PackClsInputs
from mmcls.models.necks import LinearReduction
from mmcls.structures import ClsDataSample as DataSample
from mmcls.visualization import ClsVisualizer as Visualizer
from torch import Tensor

PACKERS = (PackClsInputs, )

__all__ = [
    'PACKERS', 'DataSample', 'LinearReduction', 'Visualizer', 'draw',
    'gt_labels', 'pred_labels', 'pred_scores'
]


def gt_labels(sample: Any) -> Tensor:
    """See :data:`mmcls_repmlp.host.gt_labels`."""
    return sample.get('gt_label').get('label')


def pred_labels(sample: Any) -> Tensor:
    """See :data:`mmcls_repmlp.host.pred_labels`."""
    return sample.get('pred_label').get('label')


def pred_scores(sample: Any) -> Tensor:
    """See :data:`mmcls_repmlp.host.pred_scores`."""
    return sample.get('pred_label').get('score')


def draw(visualizer: Visualizer, image: np.ndarray, sample: DataSample,
         out_file: str | Path, rescale_factor: float) -> None:
    """See :data:`mmcls_repmlp.host.draw`."""
    visualizer.add_datasample(
        '',
        image,
        sample,
        rescale_factor=rescale_factor,
        out_file=str(out_file))
