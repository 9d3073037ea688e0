"""The RepMLP block of arXiv 2112.11081, and the unit of it and an FFN.

Parameter names are those of published checkpoints and are frozen.

Shape letters: N batch, C channels, S sharesets, G = C / S, H W map,
h w partition, P partitions per map, Q = h * w, M = N * P * G.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from mmcv.cnn import ConvModule, build_norm_layer
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmcls_repmlp.host import SELayer
from mmcls_repmlp.models.argument_checks import (check_divisor, check_kernels,
                                                 check_pair)
from mmcls_repmlp.models.batch_statistics import (can_fold_branch,
                                                  fold_batch_branches,
                                                  fold_batch_norm,
                                                  uses_batch_statistics)
from mmcls_repmlp.models.norm_folding import fold_norm
from mmcls_repmlp.models.partition_perceptron import (PartitionPerceptron,
                                                      apply_depthwise,
                                                      apply_fc3)
from mmcls_repmlp.models.plain_layers import (can_bypass, is_plain,
                                              is_plain_conv_norm, is_pointwise,
                                              uses_running_statistics)
from mmcls_repmlp.ops import (Affine, has_many_positions, is_cheap_to_measure,
                              is_eager_on_cpu, is_large_hidden, moments,
                              partition, pointwise_ffn, shareset_fc,
                              to_pointwise_layout, unpartition)


class GlobalPerceptron(SELayer):
    """Squeeze-and-excite gate over the whole map (arXiv 2112.11081, 3.2).

    The hidden layer has ``channels // ratio`` units, rounded to a multiple of
    ``divisor``.
    """

    def __init__(self,
                 channels: int,
                 ratio: int = 4,
                 divisor: int = 8,
                 conv_cfg: dict | None = None) -> None:
        super().__init__(
            channels,
            ratio=ratio,
            divisor=divisor,
            conv_cfg=conv_cfg,
            act_cfg=(dict(type='ReLU', inplace=False), dict(type='Sigmoid')),
            return_weight=True)


class RepMLPBlock(PartitionPerceptron):
    """Global, partition and local perceptron (arXiv 2112.11081, section 3).

    It computes ``gate(x) * (BN(fc3(x)) + sum_k BN(conv_k(x)))``, with fc3 and
    the convolutions inside every partition. :meth:`switch_to_deploy` merges
    the whole sum into fc3.

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
        ValueError: If an argument is out of range or ``conv_cfg`` names a
            type that cannot be merged.
    """

    unaffected = 'gp',

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
        self.channels = channels
        self.num_sharesets = check_divisor('num_sharesets', num_sharesets,
                                           channels)
        self.partition_size = check_pair('(path_h, path_w)', (path_h, path_w))
        self.reparam_conv_kernels = check_kernels(reparam_conv_kernels)

        self.gp = GlobalPerceptron(channels, globalperceptron_ratio,
                                   globalperceptron_divisor, conv_cfg)
        self.build_layers(num_sharesets, num_sharesets, num_sharesets,
                          num_sharesets, deploy, conv_cfg, norm_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """Mix positions within every partition, gated per channel.

        Args:
            x: Maps of shape (N, C, H, W); H and W are multiples of h and w.

        Returns:
            Maps of shape (N, C, H, W).
        """
        parts = partition(x, self.partition_size)  # (N*P, C, h, w)
        sets = parts.reshape(-1, self.num_sharesets,
                             *self.partition_size)  # (M, S, h, w)
        if self.can_fold_batch(sets):
            out = shareset_fc(sets.flatten(2), *self.fold_batch(sets))
        else:
            out = self.mix(sets)
        out = unpartition(out.reshape_as(parts), x.shape[2:])
        return out * self.gp(x)  # (N, C, H, W)

    def mix(self, sets: Tensor) -> Tensor:
        """Apply fc3 and the convolutions one by one to (M, S, h, w)."""
        out = apply_fc3(self.fc3, sets.flatten(2))  # (M, S, Q)
        out = out.unflatten(2, self.partition_size)  # (M, S, h, w)
        if not self.deploy:
            out = self.fc3_bn(out)
            for branch in self.local_branches:
                out = out + apply_depthwise(branch, sets)
        return out

    def can_fold_batch(self, sets: Tensor) -> bool:
        """Return whether to train the merged form on maps (M, S, h, w)."""
        return (self.training and bool(self.local_branches)
                and is_cheap_to_measure(sets.flatten(2).transpose(0, 1))
                and can_bypass(self.fc3, sets) and is_pointwise(self.fc3)
                and self.fc3.groups == sets.shape[1] and self.fc3.bias is None
                and uses_batch_statistics(self.fc3_bn) and all(
                    can_fold_branch(branch, sets)
                    for branch in self.local_branches))

    def fold_batch(self, sets: Tensor) -> Affine:
        """Merge by the statistics of a batch of maps (M, S, h, w).

        The norms' running statistics are updated.

        Returns:
            Weight of shape (S * Q, Q) and bias of shape (S * Q,).
        """
        inputs = moments(sets.flatten(2).transpose(0, 1))  # rows (S, M, Q)
        matrices = self.fc3.weight.view_as(inputs.covariance)
        weights, biases = zip(
            fold_batch_norm(matrices, self.fc3_bn, inputs),
            *fold_batch_branches(self.local_branches, inputs,
                                 self.partition_size))
        weight, bias = (
            torch.stack(parts).sum(0) for parts in (weights, biases))
        return weight.flatten(0, 1), bias.flatten()


class ConvFFN(BaseModule):
    """Feed-forward network of two 1x1 convolutions, each with its norm."""

    def __init__(self,
                 channels: int,
                 hidden_channels: int,
                 conv_cfg: dict | None = None,
                 norm_cfg: dict | None = None) -> None:
        super().__init__()
        layer = dict(
            kernel_size=1,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg or dict(type='BN'),
            act_cfg=None)
        self.ffn_fc1 = ConvModule(channels, hidden_channels, **layer)
        self.act = nn.GELU()
        self.ffn_fc2 = ConvModule(hidden_channels, channels, **layer)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape, every position separately."""
        if self.should_fold_norms(x):
            return pointwise_ffn(x, _fold_ffn_layer(self.ffn_fc1),
                                 _fold_ffn_layer(self.ffn_fc2))
        x = to_pointwise_layout(x)
        return self.ffn_fc2(self.act(self.expand(x)))

    def expand(self, x: Tensor) -> Tensor:
        """Apply the first layer and its norm to maps (N, C, H, W)."""
        rows = x.permute(0, 2, 3, 1).flatten(0, 2)[None]  # (1, N*H*W, C)
        layer = self.ffn_fc1
        if not (_can_bypass_ffn_layer(layer, x) and layer.conv.bias is None
                and uses_batch_statistics(layer.norm) and is_large_hidden(
                    x, layer.conv.weight) and is_cheap_to_measure(rows)):
            return layer(x)
        weight, bias = fold_batch_norm(
            layer.conv.weight.flatten(1)[None], layer.norm, moments(rows))
        return F.conv2d(x, weight.view_as(layer.conv.weight), bias[0])

    def should_fold_norms(self, x: Tensor) -> bool:
        """Return whether to fold the norms in this call on maps (N, C, H, W).

        For inference on many positions folding costs less than running the
        norms over the maps.
        """
        return (not self.training and not torch.is_grad_enabled()
                and is_eager_on_cpu(x) and has_many_positions(x)
                and type(self.act) is nn.GELU and is_plain(self.act)
                and self.act.approximate == 'none' and all(
                    _can_fold_ffn_layer(layer, x)
                    for layer in (self.ffn_fc1, self.ffn_fc2)))


class RepMLPNetUnit(BaseModule):
    """A residual RepMLP block and a residual FFN, each after a norm.

    ``y = x + RepMLPBlock(BN(x)); z = y + ConvFFN(BN(y))``
    (arXiv 2112.11081, figure 2).

    Args:
        channels: Channels C of input and output.
        ffn_expand: The FFN's hidden layer has C times as many channels.
            Defaults to 4.
        drop_path_rate: Probability of dropping a residual branch in training.
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


def _can_bypass_ffn_layer(layer: ConvModule, x: Tensor) -> bool:
    return (is_plain_conv_norm(layer) and can_bypass(layer.conv, x)
            and is_pointwise(layer.conv) and layer.conv.groups == 1)


def _can_fold_ffn_layer(layer: ConvModule, x: Tensor) -> bool:
    return (_can_bypass_ffn_layer(layer, x)
            and uses_running_statistics(layer.norm))


def _fold_ffn_layer(layer: ConvModule) -> Affine:
    dtype = layer.conv.weight.dtype
    wide = torch.promote_types(dtype, torch.float32)
    weight, bias = fold_norm(layer.conv, layer.norm, 'ffn', wide)
    return weight.to(dtype), bias.to(dtype)
