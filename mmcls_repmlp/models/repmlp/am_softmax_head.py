"""Head for metric learning with an additive margin of the cosine."""
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmcls_repmlp.host import MODELS, ArcFaceClsHead, DataSample


@MODELS.register_module()
class AMSoftmaxClsHead(ArcFaceClsHead):
    """Additive-margin softmax (arXiv 1801.05599).

    Training scores are ``scale * (cos(x, w_k) - margin * [k is the class])``,
    where ArcFace adds its margin to the angle. At inference there is no
    margin, and every sample also gets its unit vector as ``embedding``.

    Args:
        num_classes: Number of identities trained on.
        in_channels: Channels of the features.
        margin: What the cosine of the right class is lowered by. Defaults to
            0.35, as in that paper.
        scale: What cosines are multiplied by. Defaults to 30, likewise.
        **kwargs: Further arguments of ArcFaceClsHead.
    """

    def __init__(self,
                 num_classes: int,
                 in_channels: int,
                 margin: float = 0.35,
                 scale: float = 30.,
                 **kwargs: Any) -> None:
        super().__init__(
            num_classes,
            in_channels,
            scale=scale,
            margins=float(margin),
            **kwargs)

    def _get_logit_with_margin(self, pre_logits: Tensor,
                               target: Tensor) -> Tensor:
        cosine = self.norm_product(pre_logits)  # (N, num_classes)
        right = torch.nn.functional.one_hot(
            target.reshape(-1), self.num_classes)
        return cosine - right * self.margins

    def predict(
        self,
        feats: tuple[Tensor, ...],
        data_samples: list[DataSample | None] | None = None
    ) -> list[DataSample]:
        """Predict classes, and keep unit vectors to compare images by.

        Args:
            feats: Features; the last (N, in_channels) counts.
            data_samples: Samples to complete. Defaults to new ones.

        Returns:
            Samples with ``pred_label`` and ``embedding`` (in_channels,).
        """
        samples = super().predict(feats, data_samples)
        units = torch.nn.functional.normalize(self.pre_logits(feats))
        for sample, unit in zip(samples, units):
            sample.set_field(unit, 'embedding')
        return samples
