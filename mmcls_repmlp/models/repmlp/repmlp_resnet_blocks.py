"""Residual blocks of RepMLP-ResNet (arXiv 2105.01883, section 3.5).

Parameter names are those of DingXiaoH/RepMLP@b626c3d.

Shape letters: N batch, C input and O output channels, H W map.
"""
from __future__ import annotations

from abc import abstractmethod
from typing import Any

from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmcls_repmlp.models.argument_checks import check_divisor

from .conv_bn import ConvBN, ReLU
from .repmlp import RepMLP


class ResidualBlock(BaseModule):
    """Base class of the blocks, ``ReLU(residual(x) + shortcut(x))``.

    ``layer`` is ``conv_cfg``, ``norm_cfg`` and ``deploy`` of all layers.
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 stride: int = 1,
                 drop_path_rate: float = 0.,
                 **layer: Any) -> None:
        super().__init__()
        projects = stride != 1 or in_channels != out_channels
        self.shortcut = ConvBN(
            in_channels, out_channels, stride=stride, **
            layer) if projects else nn.Identity()
        self.relu = ReLU()
        self.drop_path = DropPath(drop_path_rate)

    @abstractmethod
    def residual(self, x: Tensor) -> Tensor:
        """Compute the residual branch of maps (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, O, H / stride, W / stride)."""
        residual = self.drop_path(self.residual(x))
        return self.relu(residual + self.shortcut(x))


class BaseBlock(ResidualBlock):
    """Bottleneck of ResNet: 1x1, 3x3 with the stride, 1x1."""

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
        """Compute the residual branch of maps (N, C, H, W)."""
        return self.conv3(self.conv2(self.conv1(x)))


class RepMLPLightBlock(ResidualBlock):
    """1x1, RepMLP of ``mid_channels``, ReLU, 1x1 (appendix A)."""

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
        """Compute the residual branch of maps (N, C, H, W)."""
        x = self.light_repmlp(self.light_conv1(x))
        return self.light_conv3(self.repmlp_nonlinear(x))


class RepMLPBottleneckBlock(ResidualBlock):
    """1x1, 3x3 to 1 / r, RepMLP, ReLU, 3x3 back, 1x1 (section 3.5)."""

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
        width = mid_channels
        reduced = width // check_divisor('reduction', reduction, width)
        self.btnk_conv1 = ConvBN(in_channels, width, relu=True, **layer)
        self.btnk_conv2 = ConvBN(width, reduced, 3, relu=True, **layer)
        self.btnk_repmlp = RepMLP(reduced, reduced, **repmlp, **layer)
        self.repmlp_nonlinear = ReLU()
        self.btnk_conv4 = ConvBN(reduced, width, 3, relu=True, **layer)
        self.btnk_conv5 = ConvBN(width, out_channels, **layer)

    def residual(self, x: Tensor) -> Tensor:
        """Compute the residual branch of maps (N, C, H, W)."""
        x = self.btnk_repmlp(self.btnk_conv2(self.btnk_conv1(x)))
        x = self.btnk_conv4(self.repmlp_nonlinear(x))
        return self.btnk_conv5(x)
