"""Base class of both papers' blocks: fc3, and the convolutions beside it.

A block computes ``BN(fc3(x)) + sum_k BN(conv_k(x))`` inside every partition,
where fc3 mixes positions and, within groups, channels. The convolutions, the
local perceptron, merge into fc3 together with all norms.
"""
from __future__ import annotations

from mmcv.cnn import ConvModule, build_conv_layer, build_norm_layer
from torch import Tensor, nn

from mmcls_repmlp.ops import (Affine, local_conv, merge_convs_into_fc,
                              shareset_fc)

from .mergeable import Mergeable
from .norm_folding import check_plain_conv, fold_conv_module, fold_norm
from .plain_layers import (can_bypass, is_plain_conv_norm, is_pointwise,
                           keeps_size)


class PartitionPerceptron(Mergeable):
    """Block with fc3; subclasses set its sizes and call :meth:`build_layers`.

    Attributes:
        partition_size: Height and width (h, w) of a partition.
        reparam_conv_kernels: Odd sizes of the local convolutions.
        fc3: A grouped 1x1 convolution, for published checkpoints and init_cfg.
    """

    fc3: nn.Conv2d
    fc3_bn: nn.Module
    partition_size: tuple[int, int]
    reparam_conv_kernels: tuple[int, ...]

    def build_layers(self, in_channels: int, out_channels: int, groups: int,
                     norm_channels: int, deploy: bool, conv_cfg: dict | None,
                     norm_cfg: dict | None) -> None:
        """Build fc3, and in training form its norm and the convolutions."""
        h, w = self.partition_size
        self.fc3 = build_conv_layer(
            None if deploy else conv_cfg,
            in_channels * h * w,
            out_channels * h * w,
            kernel_size=1,
            groups=groups,
            bias=deploy)
        check_plain_conv(self.fc3, 'fc3')
        if deploy:
            return
        norm_cfg = norm_cfg or dict(type='BN')
        self.fc3_bn = build_norm_layer(norm_cfg, norm_channels)[1]
        for k, name in zip(self.reparam_conv_kernels, self.branch_names):
            branch = ConvModule(
                in_channels,
                out_channels,
                k,
                padding=k // 2,
                groups=groups,
                conv_cfg=conv_cfg,
                norm_cfg=norm_cfg,
                act_cfg=None)
            check_plain_conv(branch.conv, name)
            self.add_module(name, branch)

    @property
    def branch_names(self) -> tuple[str, ...]:
        """Names of the local convolutions, as in published checkpoints."""
        return tuple(f'repconv{k}' for k in self.reparam_conv_kernels)

    @property
    def training_only(self) -> tuple[str, ...]:
        """Names of the modules that only the training form has."""
        return 'fc3_bn', *self.branch_names

    @property
    def local_branches(self) -> list[ConvModule]:
        """Local convolutions with their norms; empty in deploy form."""
        if self.deploy:
            return []
        return [getattr(self, name) for name in self.branch_names]

    def fold_layers(self) -> dict[str, Affine]:
        """Compute weight (in its shape) and bias of the merged fc3."""
        weight, bias = fold_norm(self.fc3, self.fc3_bn, 'fc3')
        convs = [*map(fold_branch, self.local_branches, self.branch_names)]
        merged, bias = merge_convs_into_fc((weight.flatten(1), bias), convs,
                                           self.partition_size)
        return dict(fc3=(merged.view_as(weight), bias))


def apply_fc3(fc3: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply fc3 of S groups to rows (M, S, Q), which gives (M, S, R)."""
    m, s, q = x.shape
    if can_bypass(fc3, x) and is_pointwise(fc3) and fc3.groups == s:
        return shareset_fc(x, fc3.weight, fc3.bias)
    out = fc3(x.reshape(m, s * q, 1, 1))  # (M, S*R, 1, 1)
    return out.reshape(m, s, out.shape[1] // s)


def apply_depthwise(branch: ConvModule, x: Tensor) -> Tensor:
    """Apply a local convolution of S groups and its norm to (M, S, h, w)."""
    if (is_plain_conv_norm(branch) and can_bypass(branch.conv, x)
            and keeps_size(branch.conv) and branch.conv.bias is None
            and branch.conv.weight.shape[:2] == (x.shape[1], 1)):
        return branch.norm(local_conv(x, branch.conv.weight))
    return branch(x)


def fold_branch(branch: ConvModule, name: str) -> Affine:
    """Fold the norm of a local convolution; raise if it cannot be merged."""
    affine = fold_conv_module(branch, name)
    if branch.with_activation or not keeps_size(branch.conv):
        raise ValueError(
            f'{name} is not a linear convolution of stride 1 over '
            'maps padded with zeros, so it cannot be merged: put '
            'one in its place')
    return affine
