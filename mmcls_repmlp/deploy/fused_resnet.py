"""The served form of RepMLP-ResNet."""
from __future__ import annotations

import copy

from torch import Tensor

from mmcls_repmlp.models.repmlp_resnet import RepMLPResNet

from .fused_module import FusedModule


class FusedRepMLPResNet(FusedModule):
    """A RepMLPResNet in deploy form, which has no norm left to fold.

    Args:
        backbone: The backbone, in either form.
    """

    def __init__(self, backbone: RepMLPResNet) -> None:
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
            InputError: If the images have another size.
        """
        return self.backbone(x)
