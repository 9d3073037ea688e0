"""The RepMLP block of arXiv 2112.11081, in training and in deploy form.

Shape letters: N batch, C channels, S sharesets, G = C / S, H W map,
h w partition, P partitions per map, Q = h * w, M = N * P * G.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmcv.cnn import build_norm_layer
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from torch import Tensor

from mmcls_repmlp.models.argument_checks import check_block_sizes, conv_kernels
from mmcls_repmlp.models.partition_perceptron import (PartitionPerceptron,
                                                      apply_depthwise,
                                                      apply_fc3)
from mmcls_repmlp.ops import partition, unpartition

from .layers import ConvFFN, GlobalPerceptron


class RepMLPBlock(PartitionPerceptron):
    """Global, partition and local perceptron (arXiv 2112.11081, section 3).

    ``gate(x) * (BN(fc3(x)) + sum_k BN(conv_k(x)))``, with fc3 and the
    convolutions working inside every partition. :meth:`switch_to_deploy`
    merges all of the sum into fc3. Which modules exist is the state:
    ``deploy`` reads it.

    Args:
        channels: Channels C of input and output.
        path_h: Height h of a partition.
        path_w: Width w of a partition.
        reparam_conv_kernels: Odd sizes of the local convolutions, or None
            for none. Defaults to None.
        globalperceptron_ratio: The gate's hidden layer has C // ratio units.
            Defaults to 4.
        num_sharesets: Sharesets S, a divisor of C. Defaults to 1.
        conv_cfg: Config of all convolutions. Defaults to Conv2d.
        norm_cfg: Config of all norms. Defaults to BN.
        deploy: Whether to build the merged form. Defaults to False.
        init_cfg: Initialization config. Defaults to None.
        globalperceptron_divisor: The gate's hidden layer is rounded to a
            multiple of this. Defaults to 8.

    Raises:
        ValueError: If S does not divide C, a size is not positive, a kernel
            is not odd or stands twice, or ``conv_cfg`` names a type that
            cannot be merged.
    """

    def __init__(self,
                 channels: int,
                 path_h: int,
                 path_w: int,
                 reparam_conv_kernels: Sequence[int] | None = None,
                 globalperceptron_ratio: int = 4,
                 num_sharesets: int = 1,
                 conv_cfg: dict | None = None,
                 norm_cfg: dict | None = None,
                 deploy: bool = False,
                 init_cfg: dict | list[dict] | None = None,
                 *,
                 globalperceptron_divisor: int = 8) -> None:
        super().__init__(init_cfg)
        check_block_sizes(channels, path_h, path_w, num_sharesets)
        self.channels = channels
        self.num_sharesets = num_sharesets
        self.path_h, self.path_w = self.partition_size = path_h, path_w
        self.reparam_conv_kernels = conv_kernels(reparam_conv_kernels)
        norm_cfg = norm_cfg or dict(type='BN')

        self.gp = GlobalPerceptron(channels, globalperceptron_ratio,
                                   globalperceptron_divisor, conv_cfg)
        features = num_sharesets * path_h * path_w
        self.build_fc3(features, features, num_sharesets, deploy, conv_cfg)
        if not deploy:
            self.build_branches(num_sharesets, num_sharesets, num_sharesets,
                                num_sharesets, conv_cfg, norm_cfg)

    @property
    def untouched(self) -> tuple[str, ...]:
        """Names of the modules that merging does not concern."""
        return 'gp',

    def forward(self, x: Tensor) -> Tensor:
        """Mix positions within every partition, gated per channel.

        Args:
            x: Maps of shape (N, C, H, W); H and W are multiples of h and w.

        Returns:
            Maps of the same shape.

        Raises:
            ValueError: If the map is not a whole number of partitions.
        """
        parts = partition(x, self.partition_size)  # (N*P, C, h, w)
        sets = parts.reshape(-1, self.num_sharesets, self.path_h,
                             self.path_w)  # (M, S, h, w)
        out = apply_fc3(self.fc3, sets.flatten(2))  # (M, S, Q)
        out = out.unflatten(2, self.partition_size)  # (M, S, h, w)
        if not self.deploy:
            out = self.fc3_bn(out)
            for branch in self.local_branches:
                out = out + apply_depthwise(branch, sets)
        out = unpartition(out.reshape_as(parts), x.shape[2:])
        return out * self.gp(x)  # (N, C, H, W)


class RepMLPNetUnit(BaseModule):
    """A residual RepMLP block and a residual FFN, each after a norm.

    ``y = x + RepMLPBlock(BN(x)); z = y + ConvFFN(BN(y))``
    (arXiv 2112.11081, figure 2).

    Args:
        channels: Channels C of input and output.
        ffn_expand: The FFN's hidden layer has C times as many channels.
            Defaults to 4.
        drop_path_rate: Chance to drop a residual branch in training.
            Defaults to 0.
        conv_cfg: Config of all convolutions. Defaults to Conv2d.
        norm_cfg: Config of all norms. Defaults to BN.
        init_cfg: Initialization config. Defaults to None.
        **block: Further arguments of :class:`RepMLPBlock`.
    """

    def __init__(self,
                 channels: int,
                 ffn_expand: int = 4,
                 drop_path_rate: float = 0.,
                 conv_cfg: dict | None = None,
                 norm_cfg: dict | None = None,
                 init_cfg: dict | list[dict] | None = None,
                 **block: Any) -> None:
        super().__init__(init_cfg)
        norm_cfg = norm_cfg or dict(type='BN')
        cfgs: dict[str, Any] = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        # Not in order of use: optimizer states in checkpoints go by position.
        self.repmlp_block = RepMLPBlock(channels, **block, **cfgs)
        self.ffn_block = ConvFFN(channels, channels * ffn_expand, **cfgs)
        self.norm1 = build_norm_layer(norm_cfg, channels)[1]
        self.norm2 = build_norm_layer(norm_cfg, channels)[1]
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        x = x + self.drop_path(self.repmlp_block(self.norm1(x)))
        return x + self.drop_path(self.ffn_block(self.norm2(x)))
