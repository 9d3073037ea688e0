"""The RepMLP block of the first paper (arXiv 2105.01883).

Shape letters: N batch, C input and O output channels, S groups, H W map,
h w partition, P partitions per map, Q = h * w, M = N * P.
"""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

from mmcls_repmlp.models.argument_checks import (check_divisor, check_kernels,
                                                 check_pair,
                                                 check_positive_int)
from mmcls_repmlp.models.norm_folding import fold_leading_norm, linear_weights
from mmcls_repmlp.models.partition_perceptron import (PartitionPerceptron,
                                                      apply_fc3)
from mmcls_repmlp.ops import (Affine, pad_below_and_right, partition,
                              unpartition)
from repmlp_lite.errors import InputError

from .conv_bn import ReLU


class RepMLP(PartitionPerceptron):
    """Global, partition and local perceptron (arXiv 2105.01883, section 3).

    The global perceptron shifts every partition by a function of all,
    ``p = x + FC2(ReLU(FC1(BN(mean(x)))))``, and the output is
    ``BN(FC3(p)) + sum_k BN(conv_k(p))``. FC3 and the convolutions mix channels
    within each group. There is no global perceptron if one partition covers
    the whole map. :meth:`switch_to_deploy` leaves three linear layers.
    Parameter names are those of the official code (DingXiaoH/RepMLP@b626c3d).

    Maps that are not a whole number of partitions are padded with zeros below
    and to the right, and the output is cropped; the paper (section 3.2) does
    not say where it pads.

    Args:
        in_channels: Channels C of the input.
        out_channels: Channels O of the output.
        input_size: Height and width (H, W) of the map, or one number for
            both. The global perceptron's layers depend on it.
        partition_size: Height and width (h, w) of a partition, or one number
            for both.
        reparam_conv_kernels: Odd sizes of the local convolutions, or None
            for none. Defaults to (1, 3, 5).
        globalperceptron_ratio: The global perceptron's hidden layer has
            C * P // ratio units. Defaults to 1.
        num_groups: Groups S of FC3 and the convolutions, a divisor of C and
            O. Defaults to 1.
        deploy: Whether to build the merged form. Defaults to False.
        with_global: Whether several partitions get a global perceptron, which
            the paper leaves out in an ablation. Defaults to True.
        conv_cfg: Config of FC3 and the convolutions. Defaults to Conv2d.
        norm_cfg: Config of all norms. Defaults to BN.
        init_cfg: Initialization config. Defaults to None.

    Raises:
        ValueError: If an argument is out of range or ``conv_cfg`` names a
            type that cannot be merged.
    """

    unaffected = 'avg.avg', 'fc1_fc2.relu', 'fc1_fc2.fc2'
    avg: Any
    fc1_fc2: Any

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 input_size: int | Sequence[int],
                 partition_size: int | Sequence[int],
                 reparam_conv_kernels: Sequence[int] | None = (1, 3, 5),
                 globalperceptron_ratio: int = 1,
                 num_groups: int = 1,
                 deploy: bool = False,
                 *,
                 with_global: bool = True,
                 conv_cfg: dict | None = None,
                 norm_cfg: dict | None = None,
                 init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(init_cfg)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.input_size = check_pair('input_size', input_size)
        self.partition_size = check_pair('partition_size', partition_size)
        self.reparam_conv_kernels = check_kernels(reparam_conv_kernels)
        self.num_groups = check_divisor('num_groups', num_groups, in_channels,
                                        out_channels)
        ratio = check_positive_int('globalperceptron_ratio',
                                   globalperceptron_ratio)
        if with_global and self.num_partitions > 1:
            self._add_global_perceptron(ratio, deploy, norm_cfg)
        h, w = self.partition_size
        self.build_layers(in_channels, out_channels, num_groups,
                          out_channels * h * w, deploy, conv_cfg, norm_cfg)

    def _add_global_perceptron(self, ratio: int, deploy: bool,
                               norm_cfg: dict | None) -> None:
        features = self.in_channels * self.num_partitions
        hidden = max(1, features // ratio)
        self.fc1_fc2 = nn.Sequential(
            OrderedDict(
                fc1=nn.Linear(features, hidden),
                relu=ReLU(),
                fc2=nn.Linear(hidden, features)))
        self.avg = nn.Sequential(
            OrderedDict(avg=nn.AvgPool2d(self.partition_size)))
        if not deploy:
            norm = build_norm_layer(
                norm_cfg or dict(type='BN'), self.in_channels)[1]
            self.avg.add_module('bn', norm)

    @property
    def num_partitions(self) -> int:
        """Partitions P of a map, padded if necessary."""
        rows, cols = (
            -(-side // part)
            for side, part in zip(self.input_size, self.partition_size))
        return rows * cols

    @property
    def has_global_perceptron(self) -> bool:
        """Whether there is a global perceptron."""
        return 'fc1_fc2' in self._modules

    @property
    def training_only(self) -> tuple[str, ...]:
        """Names of the modules that only the training form has."""
        names = super().training_only
        return (*names, 'avg.bn') if self.has_global_perceptron else names

    def forward(self, x: Tensor) -> Tensor:
        """Mix positions and channels within every partition.

        Args:
            x: Maps of shape (N, C, H, W).

        Returns:
            Maps of shape (N, O, H, W).

        Raises:
            InputError: If the maps have another C, H or W.
        """
        shape = tuple(x.shape[1:])
        expected = (self.in_channels, *self.input_size)
        if shape != expected:
            raise InputError(
                f'a RepMLP for maps of {"x".join(map(str, expected))} got '
                f'{"x".join(map(str, shape))}: build it with the input_size '
                '(a backbone with the img_size) that it is to run on')
        x = pad_below_and_right(x, self.partition_size)
        parts = partition(x, self.partition_size)  # (M, C, h, w)
        if self.has_global_perceptron:
            parts = parts + self._global(x)
        out = self._partition_perceptron(parts)  # (M, O, h, w)
        for branch in self.local_branches:
            out = out + branch(parts)
        out = unpartition(out, x.shape[2:])
        map_h, map_w = self.input_size
        return out[..., :map_h, :map_w]  # (N, O, H, W)

    def _global(self, x: Tensor) -> Tensor:
        pooled = self.avg(x).flatten(1)  # (N, C*P)
        shifts = self.fc1_fc2(pooled).view(-1, self.in_channels,
                                           self.num_partitions)
        return shifts.transpose(1, 2).reshape(-1, self.in_channels, 1,
                                              1)  # (M, C, 1, 1)

    def _partition_perceptron(self, parts: Tensor) -> Tensor:
        h, w = self.partition_size
        rows = parts.reshape(-1, self.num_groups,
                             self.in_channels // self.num_groups * h * w)
        out = apply_fc3(self.fc3, rows)  # (M, S, O/S*Q)
        if not self.deploy:
            out = self.fc3_bn(out.reshape(-1, self.out_channels * h * w, 1, 1))
        return out.reshape(-1, self.out_channels, h, w)  # (M, O, h, w)

    def fold_layers(self) -> dict[str, Affine]:
        """Compute weights and biases of the merged fc3 and fc1.

        The norm of the pooled partitions goes into fc1, its own norm and the
        local convolutions with theirs into fc3 (sections 3.3 and 3.4).
        """
        layers = super().fold_layers()
        if self.has_global_perceptron:
            layers['fc1_fc2.fc1'] = fold_leading_norm(
                self.avg.bn, linear_weights(self.fc1_fc2.fc1, 'fc1'), 'avg')
        return layers
