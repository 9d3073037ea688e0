"""The layer called fc3, and the convolutions beside it, of both blocks."""
from __future__ import annotations

from collections.abc import Iterable, Sequence

from mmcv.cnn import ConvModule, build_conv_layer
from torch import nn

from mmcls_repmlp.ops import merge_convs_into_fc
from mmcls_repmlp.ops.fusion import Affine

from .batch_norm import check_plain_conv, fold_bn


def build_fc3(inputs: int, outputs: int, groups: int, conv_cfg: dict | None,
              deploy: bool) -> nn.Module:
    """Build fc3, with a bias in deploy form.

    It is a convolution by name and shape only, for published checkpoints and
    init_cfg; ``shareset_fc`` computes it.

    Args:
        inputs: Number of inputs.
        outputs: Number of outputs.
        groups: Groups that divide both.
        conv_cfg: Config of the training form's layer.
        deploy: Whether to build the deploy form.

    Raises:
        ValueError: If ``conv_cfg`` names a type that cannot be merged.
    """
    fc3 = build_conv_layer(
        None if deploy else conv_cfg,
        inputs,
        outputs,
        kernel_size=1,
        groups=groups,
        bias=deploy)
    check_plain_conv(fc3, 'fc3')
    return fc3


def branch_names(kernels: Iterable[int]) -> tuple[str, ...]:
    """Name the local convolutions as published checkpoints do."""
    return tuple(f'repconv{k}' for k in kernels)


def build_branches(in_channels: int, out_channels: int,
                   kernels: Sequence[int], groups: int,
                   conv_cfg: dict | None,
                   norm_cfg: dict) -> dict[str, ConvModule]:
    """Build a convolution with its norm for every kernel size, by name.

    Raises:
        ValueError: If ``conv_cfg`` names a type that cannot be merged.
    """
    branches = {
        name: ConvModule(
            in_channels,
            out_channels,
            k,
            padding=k // 2,
            groups=groups,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg,
            act_cfg=None) for k, name in zip(kernels, branch_names(kernels))
    }
    for name, branch in branches.items():
        check_plain_conv(branch.conv, name)
    return branches


def fold_fc3(fc3: nn.Module, norm: nn.Module, branches: Sequence[ConvModule],
             size: tuple[int, int]) -> Affine:
    """Fold fc3's norm and the convolutions beside it into fc3.

    Args:
        fc3: The layer.
        norm: Its batch norm.
        branches: Convolutions with their norms.
        size: Height and width of a partition.

    Returns:
        Weight in the shape of fc3's and bias, in float64.

    Raises:
        ValueError: If a norm is no batch norm with running statistics.
    """
    weight, bias = fold_bn(fc3, norm, 'fc3')
    names = branch_names(branch.conv.kernel_size[0] for branch in branches)
    convs = [fold_bn(branch.conv, branch.norm, name)
             for name, branch in zip(names, branches)]
    merged, bias = merge_convs_into_fc((weight.flatten(1), bias), convs, size)
    return merged.view_as(weight), bias
