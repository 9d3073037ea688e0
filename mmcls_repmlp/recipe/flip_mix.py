"""Mixup and CutMix of the first image of a batch with the last, and so on.

The host pairs images by a random permutation. The official training uses
timm's (huggingface/pytorch-image-models at 066e490, timm/data/mixup.py, mode
'batch'), as here.
"""
from __future__ import annotations

import numpy as np
from torch import Tensor

from mmcls_repmlp.host import BATCH_AUGMENTS, CutMix, Mixup


@BATCH_AUGMENTS.register_module()
class FlipMixup(Mixup):
    """Mixup with one ratio, Beta(alpha, alpha), for the whole batch.

    Args:
        alpha: Positive float.
    """

    def mix(self, batch_inputs: Tensor,
            batch_scores: Tensor) -> tuple[Tensor, Tensor]:
        """Mix images (N, C, H, W) and scores (N, classes)."""
        ratio = np.random.beta(self.alpha, self.alpha)
        return _blend(batch_inputs, ratio), _blend(batch_scores, ratio)


@BATCH_AUGMENTS.register_module()
class FlipCutMix(CutMix):
    """CutMix with one box for the whole batch; scores go by its true area.

    Args:
        alpha: Positive float; the box leaves a part of about Beta(alpha,
            alpha), less what of it falls outside the image.
        cutmix_minmax: As in the host's CutMix. Defaults to None.
        correct_lam: As in the host's CutMix. Defaults to True.
    """

    def mix(self, batch_inputs: Tensor,
            batch_scores: Tensor) -> tuple[Tensor, Tensor]:
        """Mix images (N, C, H, W) and scores (N, classes)."""
        (top, bottom, left, right), ratio = self.cutmix_bbox_and_lam(
            batch_inputs.shape[-2:], np.random.beta(self.alpha, self.alpha))
        mixed = batch_inputs.clone()
        box = (..., slice(top, bottom), slice(left, right))
        mixed[box] = batch_inputs.flip(0)[box]
        return mixed, _blend(batch_scores, ratio)


def _blend(batch: Tensor, ratio: float) -> Tensor:
    return ratio * batch + (1 - ratio) * batch.flip(0)
