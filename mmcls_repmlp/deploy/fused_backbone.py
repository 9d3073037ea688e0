"""The served form of backbones whose deploy form has no norm."""
from __future__ import annotations

import copy

from torch import Tensor

from mmcls_repmlp.models.backbone import MergeableBackbone

from .fused_module import FusedModule


class FusedBackbone(FusedModule):
    """A backbone of the first paper in deploy form: nothing is left to fold.

    Args:
        backbone: The backbone, in either form.
    """

    def __init__(self, backbone: MergeableBackbone) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(backbone)
        self.backbone.switch_to_deploy()
        self._finish(next(backbone.parameters()))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the maps of the stages in ``out_indices``.

        Args:
            x: Images of shape (N, in_channels, *img_size).

        Returns:
            The maps that the backbone gives.

        Raises:
            InputError: If the backbone does not take this size.
        """
        return self.backbone(x)
