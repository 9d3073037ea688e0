"""The served form of RepMLPNet: every norm goes into a neighbouring layer.

After a convolution into it, norm2 into the FFN after it. norm1 feeds both fc3
and the gate, and becomes one affine map, as the last norm does where no linear
layer follows.

Shape letters: N batch, C channels, S sharesets, H W map, h w partition, P
partitions per map, Q = h * w, M = N * P * C / S.
"""
from __future__ import annotations

import copy

import torch
import torch.nn.functional as F  # noqa: N812
from mmcv.cnn import ConvModule
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn

from mmcls_repmlp.models.batch_norm import (fold_bn, fold_conv_module,
                                            linear_weights, norm_scale_shift)
from mmcls_repmlp.models.repmlpnet.hierarchy import stage_outputs
from mmcls_repmlp.models.repmlpnet.layers import (ConvFFN, GlobalPerceptron,
                                                  PatchEmbed)
from mmcls_repmlp.models.repmlpnet.repmlp_block import (RepMLPBlock,
                                                        RepMLPNetUnit)
from mmcls_repmlp.models.repmlpnet.repmlpnet import RepMLPNet
from mmcls_repmlp.ops import (crop_padding, fold_input_scale_shift,
                              pad_below_and_right, partition, pointwise_ffn,
                              shareset_fc, unpartition)
from mmcls_repmlp.ops.fusion import Affine

from .fused_module import FusedModule, check_kinds, frozen


class FusedConv(nn.Module):
    """A convolution with its batch norm folded, and perhaps ReLU.

    Args:
        conv: The convolution.
        norm: Its norm.
        relu: Whether ReLU follows.
        name: What an error calls the pair.
    """

    def __init__(self, conv: nn.Conv2d, norm: nn.Module, relu: bool,
                 name: str) -> None:
        super().__init__()
        weight, bias = frozen(fold_bn(conv, norm, name))
        # A copy, for its stride and its way of padding.
        self.conv = copy.deepcopy(conv)
        self.conv.weight, self.conv.bias = weight, bias
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        """Convolve maps of shape (N, C, H, W)."""
        x = self.conv(x)
        return F.relu_(x) if self.relu else x


# What FusedUnit computes in their place.
_PARTS = {
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


class FusedUnit(nn.Module):
    """A RepMLPNetUnit with its six norms folded.

    Args:
        unit: The unit, in either form.

    Raises:
        ValueError: If a part of it is of a kind that this does not compute.
    """

    def __init__(self, unit: RepMLPNetUnit) -> None:
        super().__init__()
        check_kinds(unit, _PARTS)
        block, ffn = unit.repmlp_block, unit.ffn_block
        self.num_sharesets = block.num_sharesets
        self.partition_size = block.partition_size
        scale, shift = norm_scale_shift(unit.norm1, 'norm1')
        self.scale, self.shift = frozen((scale.view(-1, 1,
                                                    1), shift.view(-1, 1, 1)))
        self.fc3_weight, self.fc3_bias = frozen(_merged(block))
        self.gate = nn.ParameterList(
            parameter for layer in (block.gp.conv1, block.gp.conv2)
            for parameter in frozen(linear_weights(layer.conv, 'gp')))
        first = fold_conv_module(ffn.ffn_fc1, 'ffn_fc1')
        first = fold_input_scale_shift(*first,
                                       *norm_scale_shift(unit.norm2, 'norm2'))
        self.ffn1_weight, self.ffn1_bias = frozen(first)
        self.ffn2_weight, self.ffn2_bias = frozen(
            fold_conv_module(ffn.ffn_fc2, 'ffn_fc2'))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        y = torch.addcmul(self.shift, x, self.scale)
        parts = partition(y, self.partition_size)  # (N*P, C, h, w)
        sets = parts.reshape(-1, self.num_sharesets,
                             self.fc3_weight.shape[1])  # (M, S, Q)
        out = shareset_fc(sets, self.fc3_weight, self.fc3_bias)
        out = unpartition(out.reshape_as(parts), x.shape[2:])
        x = torch.addcmul(x, out, self._gate(y))
        return x + pointwise_ffn(x, (self.ffn1_weight, self.ffn1_bias),
                                 (self.ffn2_weight, self.ffn2_bias))

    def _gate(self, y: Tensor) -> Tensor:
        weight1, bias1, weight2, bias2 = self.gate
        pooled = y.mean((2, 3), keepdim=True)  # (N, C, 1, 1)
        hidden = F.relu_(F.conv2d(pooled, weight1, bias1))
        return F.conv2d(hidden, weight2, bias2).sigmoid_()


class FusedRepMLPNet(FusedModule):
    """A RepMLPNet with every norm folded but the last.

    Args:
        backbone: The backbone, in either form.
        final_norm: Whether to apply the final norm, as an affine map. Defaults
            to True.
    """

    def __init__(self, backbone: RepMLPNet, final_norm: bool = True) -> None:
        super().__init__()
        embed = backbone.patch_embed
        check_kinds(backbone, {
            'patch_embed': PatchEmbed,
            'patch_embed.act': nn.ReLU
        })
        self.partition_grid = backbone.partition_grid
        self.pad_to_multiple = backbone.pad_to_multiple
        self.adaptive_padding = copy.deepcopy(embed.adaptive_padding)
        self.patch_embed = FusedConv(embed.projection, embed.norm, True,
                                     'patch_embed')
        self.stages = nn.ModuleList(
            nn.Sequential(*map(FusedUnit, stage)) for stage in backbone.stages)
        self.downsample_layers = nn.ModuleList(
            _fused_conv_module(layer, f'downsample_layers.{i}')
            for i, layer in enumerate(backbone.downsample_layers))
        self.out_indices = backbone.out_indices
        self.out_after_downsample = backbone.out_after_downsample
        self.final = nn.ParameterList()
        if final_norm and not isinstance(backbone.final_norm, nn.Identity):
            scale, shift = norm_scale_shift(backbone.final_norm, 'final_norm')
            self.final.extend(
                frozen((scale.view(-1, 1, 1), shift.view(-1, 1, 1))))
        self._finish(next(backbone.parameters()))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the maps of the stages in ``out_indices``.

        Args:
            x: Images of shape (N, in_channels, H, W).

        Returns:
            The maps that the backbone gives.

        Raises:
            ValueError: If the size of the images is no multiple of the
                backbone's, and the backbone does not pad.
        """
        image_size = tuple(x.shape[2:])
        if self.pad_to_multiple:
            x = pad_below_and_right(x, self.partition_grid.img_size)
        padded_size = tuple(x.shape[2:])
        if self.adaptive_padding:
            x = self.adaptive_padding(x)
        x = self.patch_embed(x)
        self.partition_grid.check(tuple(x.shape[2:]), image_size)
        outs = stage_outputs(x, self.stages, self.downsample_layers,
                             self._final, self.out_indices,
                             self.out_after_downsample)
        return tuple(
            crop_padding(out, image_size, padded_size) for out in outs)

    def _final(self, x: Tensor) -> Tensor:
        if not len(self.final):
            return x
        scale, shift = self.final
        return torch.addcmul(shift, x, scale)


def _fused_conv_module(layer: ConvModule, name: str) -> FusedConv:
    fold_conv_module(layer, name)
    if layer.with_activation:
        check_kinds(layer, dict(activate=nn.ReLU))
    return FusedConv(layer.conv, layer.norm, layer.with_activation, name)


@torch.no_grad()
def _merged(block: RepMLPBlock) -> Affine:
    weight, bias = block.merged_fc3(torch.float64)
    return weight.flatten(1), bias
