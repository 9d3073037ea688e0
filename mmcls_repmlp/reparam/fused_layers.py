"""What takes the place of layers with norms when a model is fused.

Shape letters: N batch, C channels, S sharesets, H W map, h w partition, P
partitions per map, Q = h * w, M = N * P * C / S.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from mmcv.cnn import ConvModule
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn

from mmcls_repmlp.models.norm_folding import (fold_conv_module,
                                              fold_leading_norm, fold_norm,
                                              linear_weights, scale_shift)
from mmcls_repmlp.models.repmlpnet.repmlp_block import (ConvFFN,
                                                        GlobalPerceptron,
                                                        RepMLPBlock,
                                                        RepMLPNetUnit)
from mmcls_repmlp.models.repmlpnet.repmlpnet import PatchEmbed
from mmcls_repmlp.ops import (Affine, partition, pointwise_ffn, shareset_fc,
                              unpartition)


class FusedNorm(nn.Module):
    """A batch norm as one multiplication and addition.

    Args:
        norm: Its norm, of maps (N, C, H, W).

    Raises:
        ValueError: If it is no batch norm with running statistics.
    """

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.scale, self.shift = frozen(
            *(t.view(-1, 1, 1) for t in scale_shift(norm, 'the map')))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return torch.addcmul(self.shift, x, self.scale)


class FusedConv(nn.Module):
    """A convolution that took its norm in, and what follows the two.

    Args:
        conv: The convolution.
        affine: Its weight and bias with the norm in them.
        activation: What follows the norm. Defaults to nothing.
        padding: What precedes the convolution. Defaults to nothing.
    """

    def __init__(self,
                 conv: nn.Conv2d,
                 affine: Affine,
                 activation: nn.Module | None = None,
                 padding: nn.Module | None = None) -> None:
        super().__init__()
        self.padding = padding
        self.conv = conv
        self.conv.weight, self.conv.bias = frozen(*affine)
        self.relu = type(activation) is nn.ReLU
        self.activation = None if self.relu else activation

    def forward(self, x: Tensor) -> Tensor:
        """Convolve maps of shape (N, C, H, W)."""
        x = self.conv(x if self.padding is None else self.padding(x))
        if self.relu:
            return F.relu_(x)
        return x if self.activation is None else self.activation(x)


class FusedUnit(nn.Module):
    """A RepMLPNetUnit, merged, with its norms folded.

    norm2 goes into the FFN after it. norm1 feeds both fc3 and the gate, and
    becomes one affine map.

    Args:
        unit: The unit.

    Raises:
        ValueError: If a norm is no batch norm with running statistics.
    """

    def __init__(self, unit: RepMLPNetUnit) -> None:
        super().__init__()
        block, ffn = unit.repmlp_block, unit.ffn_block
        self.num_sharesets = block.num_sharesets
        self.partition_size = block.partition_size
        self.norm1 = FusedNorm(unit.norm1)
        weight, bias = linear_weights(block.fc3, 'fc3')
        self.fc3 = _parameters((weight.flatten(1), bias))
        self.gate = _parameters(
            linear_weights(block.gp.conv1.conv, 'gp'),
            linear_weights(block.gp.conv2.conv, 'gp'))
        self.ffn = _parameters(
            fold_leading_norm(unit.norm2,
                              fold_conv_module(ffn.ffn_fc1,
                                               'ffn_fc1'), 'norm2'),
            fold_conv_module(ffn.ffn_fc2, 'ffn_fc2'))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        y = self.norm1(x)
        weight, bias = self.fc3
        parts = partition(y, self.partition_size)  # (N*P, C, h, w)
        sets = parts.reshape(-1, self.num_sharesets,
                             weight.shape[1])  # (M, S, Q)
        out = shareset_fc(sets, weight, bias)
        out = unpartition(out.reshape_as(parts), x.shape[2:])
        x = torch.addcmul(x, out, self._gate(y))
        weight1, bias1, weight2, bias2 = self.ffn
        return x + pointwise_ffn(x, (weight1, bias1), (weight2, bias2))

    def _gate(self, y: Tensor) -> Tensor:
        weight1, bias1, weight2, bias2 = self.gate
        pooled = y.mean((2, 3), keepdim=True)  # (N, C, 1, 1)
        hidden = F.relu_(F.conv2d(pooled, weight1, bias1))
        return F.conv2d(hidden, weight2, bias2).sigmoid_()


# What FusedUnit computes in their place.
_PARTS: dict[str, Any] = {
    '': RepMLPNetUnit,
    'drop_path': DropPath,
    'repmlp_block': RepMLPBlock,
    'repmlp_block.gp': GlobalPerceptron,
    'repmlp_block.gp.global_avgpool': nn.AdaptiveAvgPool2d,
    'repmlp_block.gp.conv1': ConvModule,
    'repmlp_block.gp.conv1.activate': nn.ReLU,
    'repmlp_block.gp.conv2': ConvModule,
    'repmlp_block.gp.conv2.activate': nn.Sigmoid,
    'ffn_block': ConvFFN,
    'ffn_block.act': nn.GELU,
}


def fused(module: Any) -> nn.Module | None:
    """Build what may take the place of a merged module, in float64.

    Args:
        module: A module of any kind; its layers may become part of what is
            built.

    Returns:
        What computes the same for inference, without the norms directly in
        it; None if nothing of this file does.
    """
    try:
        if isinstance(module, RepMLPNetUnit):
            return FusedUnit(module) if _has_parts(module, _PARTS) else None
        if type(module).forward is PatchEmbed.forward:
            return FusedConv(
                module.projection,
                fold_norm(module.projection, module.norm, 'projection'),
                module.act, module.adaptive_padding)
        if isinstance(module, ConvModule):
            return FusedConv(
                module.conv, fold_conv_module(module, 'conv'),
                module.activate if module.with_activation else None)
        return FusedNorm(module) if isinstance(module,
                                               (nn.BatchNorm2d,
                                                nn.SyncBatchNorm)) else None
    except ValueError:
        return None  # another norm, another layer: it stays as it is


def frozen(*tensors: Tensor) -> Iterator[nn.Parameter]:
    """Make parameters without gradients."""
    for tensor in tensors:
        yield nn.Parameter(tensor.detach(), requires_grad=False)


def _parameters(*affines: Affine) -> nn.ParameterList:
    return nn.ParameterList(
        tensor for affine in affines for tensor in frozen(*affine))


def _has_parts(model: nn.Module, kinds: Mapping[str, Any]) -> bool:
    # Subclasses are taken if they keep the forward.
    return all(
        type(model.get_submodule(name)).forward is kind.forward
        for name, kind in kinds.items())
