"""Head for metric learning with an additive margin of the cosine."""
from __future__ import annotations

from typing import Any

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mmcls_repmlp.host import MODELS, ArcFaceClsHead, DataSample


@MODELS.register_module()
class AMSoftmaxClsHead(ArcFaceClsHead):
    """Additive-margin softmax (arXiv 1801.05599).

    Training scores are ``scale * (cos(x, w_k) - margin * [k is the class])``.
    At inference there is no margin, and every sample also gets its unit vector
    as ``embedding``.

    Args:
        num_classes: Number of identities trained on.
        in_channels: Channels of the features.
        margin: Margin of the cosine. Defaults to 0.35, as in that paper.
        scale: Factor of cosines. Defaults to 30, as in that paper.
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
        own_class = F.one_hot(target.reshape(-1), self.num_classes)
        return cosine - own_class * self.margins

    def predict(
        self,
        feats: tuple[Tensor, ...],
        data_samples: list[DataSample | None] | None = None
    ) -> list[DataSample]:
        """Predict classes and add unit vectors for comparing images.

        Args:
            feats: Features; the last one, (N, in_channels), is used.
            data_samples: Samples to complete. Defaults to new ones.

        Returns:
            Samples with ``pred_label`` and ``embedding`` (in_channels,).
        """
        samples = super().predict(feats, data_samples)
        for sample, unit in zip(samples, F.normalize(self.pre_logits(feats))):
            sample.set_field(unit, 'embedding')
        return samples
