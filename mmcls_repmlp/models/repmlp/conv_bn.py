"""Convolution, batch norm and perhaps ReLU, which merge into one layer."""
from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from mmcv.cnn import build_conv_layer, build_norm_layer
from torch import Tensor, nn

from mmcls_repmlp.models.mergeable import Mergeable
from mmcls_repmlp.models.norm_folding import check_plain_conv, fold_norm
from mmcls_repmlp.ops import Affine


class ReLU(nn.ReLU):
    """ReLU that overwrites its input unless gradients are enabled, or traced.

    With gradients torch does not allow to overwrite the output of a module
    that has a backward hook. Then it costs nothing measurable, as the output
    of the norm before it is not kept for backward.
    """

    def __init__(self) -> None:
        super().__init__(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map a tensor of any shape."""
        # torch traces once more without gradients, to compare the graphs.
        keeps = torch.is_grad_enabled() or torch.jit.is_tracing()
        return F.relu(x, self.inplace and not keeps)


class ConvBN(Mergeable):
    """Convolution that divides the size of a map by its stride, and its norm.

    Parameter names are those of DingXiaoH/RepMLP@b626c3d: ``conv``, ``bn``.
    """

    training_only = 'bn',
    unaffected = 'act',

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 kernel_size: int = 1,
                 stride: int = 1,
                 relu: bool = False,
                 conv_cfg: dict | None = None,
                 norm_cfg: dict | None = None,
                 deploy: bool = False,
                 init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(init_cfg)
        self.conv = build_conv_layer(
            conv_cfg,
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            bias=deploy)
        check_plain_conv(self.conv, 'conv')
        if not deploy:
            self.bn = build_norm_layer(
                norm_cfg or dict(type='BN'), out_channels)[1]
        self.act = ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, O, ceil(H / stride), ceil(W / stride))."""
        x = self.conv(x)
        return self.act(x if self.deploy else self.bn(x))

    def fold_layers(self) -> dict[str, Affine]:
        """Compute weight and bias of the merged convolution."""
        return dict(conv=fold_norm(self.conv, self.bn, 'conv'))
