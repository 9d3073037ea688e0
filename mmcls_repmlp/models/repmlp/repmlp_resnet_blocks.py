"""The residual blocks of RepMLP-ResNet (arXiv 2105.01883, section 3.5).

Parameter names are those of DingXiaoH/RepMLP@b626c3d.

Shape letters: N batch, C input and O output channels, H W map.
"""
from __future__ import annotations

from abc import abstractmethod
from typing import Any

from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmcls_repmlp.models.relu import ReLU

from .conv_bn import ConvBN
from .repmlp import RepMLP


class ResidualBlock(BaseModule):
    """``ReLU(residual(x) + shortcut(x))``.

    Args:
        in_channels: Channels C of the input.
        out_channels: Channels O of the output.
        stride: Stride of the block. Defaults to 1.
        drop_path_rate: Chance to drop the residual branch in training.
            Defaults to 0.
        init_cfg: Initialization config. Defaults to None.
        **layer: ``conv_cfg``, ``norm_cfg`` and ``deploy`` of all layers.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 stride: int = 1,
                 drop_path_rate: float = 0.,
                 init_cfg: dict | list[dict] | None = None,
                 **layer: Any) -> None:
        super().__init__(init_cfg)
        projects = stride != 1 or in_channels != out_channels
        self.shortcut = ConvBN(
            in_channels, out_channels, stride=stride, **
            layer) if projects else nn.Identity()
        self.relu = ReLU()
        self.drop_path = DropPath(drop_path_rate)

    @abstractmethod
    def residual(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to what is added to the shortcut."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, O, H / stride, W / stride)."""
        residual = self.drop_path(self.residual(x))
        return self.relu(residual + self.shortcut(x))


class BaseBlock(ResidualBlock):
    """ResNet's bottleneck: 1x1, 3x3 with the stride, 1x1.

    Args:
        in_channels: Channels C of the input.
        mid_channels: Channels of the 3x3 convolution.
        out_channels: Channels O of the output.
        stride: Stride of the block. Defaults to 1.
        drop_path_rate: See :class:`ResidualBlock`. Defaults to 0.
        **layer: ``conv_cfg``, ``norm_cfg`` and ``deploy`` of all layers.
    """

    expansion = 4

    def __init__(self,
                 in_channels: int,
                 mid_channels: int,
                 out_channels: int,
                 stride: int = 1,
                 drop_path_rate: float = 0.,
                 **layer: Any) -> None:
        super().__init__(in_channels, out_channels, stride, drop_path_rate,
                         **layer)
        self.conv1 = ConvBN(in_channels, mid_channels, relu=True, **layer)
        self.conv2 = ConvBN(
            mid_channels, mid_channels, 3, stride, relu=True, **layer)
        self.conv3 = ConvBN(mid_channels, out_channels, **layer)

    def residual(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to what is added to the shortcut."""
        return self.conv3(self.conv2(self.conv1(x)))


class RepMLPLightBlock(ResidualBlock):
    """1x1, RepMLP, ReLU, 1x1 (appendix A).

    Args:
        in_channels: Channels C of the input.
        mid_channels: Channels of RepMLP.
        out_channels: Channels O of the output.
        repmlp: Arguments of :class:`RepMLP` but for the channels.
        drop_path_rate: See :class:`ResidualBlock`. Defaults to 0.
        **layer: ``conv_cfg``, ``norm_cfg`` and ``deploy`` of all layers.
    """

    expansion = 8

    def __init__(self,
                 in_channels: int,
                 mid_channels: int,
                 out_channels: int,
                 repmlp: dict,
                 drop_path_rate: float = 0.,
                 **layer: Any) -> None:
        super().__init__(
            in_channels, out_channels, drop_path_rate=drop_path_rate, **layer)
        self.light_conv1 = ConvBN(
            in_channels, mid_channels, relu=True, **layer)
        self.light_repmlp = RepMLP(mid_channels, mid_channels, **repmlp,
                                   **layer)
        self.repmlp_nonlinear = ReLU()
        self.light_conv3 = ConvBN(mid_channels, out_channels, **layer)

    def residual(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to what is added to the shortcut."""
        x = self.light_repmlp(self.light_conv1(x))
        return self.light_conv3(self.repmlp_nonlinear(x))


class RepMLPBottleneckBlock(ResidualBlock):
    """1x1, 3x3 to 1 / r, RepMLP, ReLU, 3x3 back, 1x1 (section 3.5).

    Args:
        in_channels: Channels C of the input.
        mid_channels: Channels between the first and the last 1x1.
        out_channels: Channels O of the output.
        reduction: RepMLP has ``mid_channels // reduction`` channels.
        repmlp: Arguments of :class:`RepMLP` but for the channels.
        drop_path_rate: See :class:`ResidualBlock`. Defaults to 0.
        **layer: ``conv_cfg``, ``norm_cfg`` and ``deploy`` of all layers.

    Raises:
        ValueError: If ``reduction`` does not divide ``mid_channels``.
    """

    expansion = 4

    def __init__(self,
                 in_channels: int,
                 mid_channels: int,
                 out_channels: int,
                 reduction: int,
                 repmlp: dict,
                 drop_path_rate: float = 0.,
                 **layer: Any) -> None:
        super().__init__(
            in_channels, out_channels, drop_path_rate=drop_path_rate, **layer)
        if mid_channels % reduction:
            raise ValueError(f'a reduction of {reduction} does not divide '
                             f'{mid_channels} channels')
        width, reduced = mid_channels, mid_channels // reduction
        self.btnk_conv1 = ConvBN(in_channels, width, relu=True, **layer)
        self.btnk_conv2 = ConvBN(width, reduced, 3, relu=True, **layer)
        self.btnk_repmlp = RepMLP(reduced, reduced, **repmlp, **layer)
        self.repmlp_nonlinear = ReLU()
        self.btnk_conv4 = ConvBN(reduced, width, 3, relu=True, **layer)
        self.btnk_conv5 = ConvBN(width, out_channels, **layer)

    def residual(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to what is added to the shortcut."""
        x = self.btnk_repmlp(self.btnk_conv2(self.btnk_conv1(x)))
        x = self.btnk_conv4(self.repmlp_nonlinear(x))
        return self.btnk_conv5(x)
