"""The layer called fc3, and the convolutions beside it, of both blocks."""
from __future__ import annotations

from collections.abc import Iterable, Sequence

from mmcv.cnn import ConvModule, build_conv_layer
from torch import Tensor, nn

from mmcls_repmlp.ops import local_conv, merge_convs_into_fc, shareset_fc
from mmcls_repmlp.ops.fusion import Affine

from .batch_norm import check_plain_conv, fold_bn, fold_conv_module
from .functional import (computed_functionally, is_plain_conv_norm,
                         is_pointwise, keeps_size)


def build_fc3(inputs: int, outputs: int, groups: int, conv_cfg: dict | None,
              deploy: bool) -> nn.Module:
    """Build fc3, with a bias in deploy form.

    It is a grouped 1x1 convolution by name and shape, for published
    checkpoints and init_cfg; :func:`apply_fc3` computes it.

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


def apply_fc3(fc3: nn.Module, x: Tensor) -> Tensor:
    """Compute fc3 on the rows of every group, fast unless somebody could tell.

    Args:
        fc3: The layer.
        x: Inputs of shape (M, S, Q).

    Returns:
        Outputs of shape (M, S, R).
    """
    m, s, q = x.shape
    if (computed_functionally(fc3, x) and is_pointwise(fc3)
            and fc3.groups == s):
        return shareset_fc(x, fc3.weight, fc3.bias)
    out = fc3(x.reshape(m, s * q, 1, 1))  # (M, S*R, 1, 1)
    return out.reshape(m, s, out.shape[1] // s)


def apply_depthwise(branch: nn.Module, x: Tensor) -> Tensor:
    """Run a convolution of one kernel per channel, and its norm.

    Args:
        branch: What :func:`build_branches` built for as many groups as
            channels.
        x: Maps of shape (M, S, h, w).

    Returns:
        Maps of the same shape.
    """
    if (is_plain_conv_norm(branch) and not branch.with_activation
            and computed_functionally(branch.conv, x)
            and keeps_size(branch.conv) and branch.conv.bias is None
            and branch.conv.weight.shape[:2] == (x.shape[1], 1)):
        return branch.norm(local_conv(x, branch.conv.weight))
    return branch(x)


def branch_names(kernels: Iterable[int]) -> tuple[str, ...]:
    """Name the local convolutions as published checkpoints do."""
    return tuple(f'repconv{k}' for k in kernels)


def build_branches(in_channels: int, out_channels: int, kernels: Sequence[int],
                   groups: int, conv_cfg: dict | None,
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
            act_cfg=None)
        for k, name in zip(kernels, branch_names(kernels))
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
        ValueError: If a norm is no batch norm with running statistics, or a
            convolution is not what this can be done with.
    """
    weight, bias = fold_bn(fc3, norm, 'fc3')
    convs = [_fold_branch(branch) for branch in branches]
    merged, bias = merge_convs_into_fc((weight.flatten(1), bias), convs, size)
    return merged.view_as(weight), bias


def _fold_branch(branch: ConvModule) -> Affine:
    kernel = getattr(getattr(branch, 'conv', None), 'kernel_size', '?')
    name, = branch_names(kernel[:1])
    affine = fold_conv_module(branch, name)
    if branch.with_activation or not keeps_size(branch.conv):
        raise ValueError(f'{name} is no linear convolution of stride 1 over '
                         'maps padded with zeros, so it cannot be merged: put '
                         'one in its place')
    return affine
