"""The small layers around the RepMLP block.

Parameter names are those of published checkpoints and are frozen.
"""
from __future__ import annotations

from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmcv.cnn.bricks.transformer import PatchEmbed as MmcvPatchEmbed
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmcls_repmlp.host import SELayer
from mmcls_repmlp.models.norm_folding import fold_norm
from mmcls_repmlp.models.plain_layers import (computed_functionally, is_plain,
                                              is_plain_conv_norm, is_pointwise,
                                              uses_running_statistics)
from mmcls_repmlp.ops import (Affine, has_many_positions, is_eager_on_cpu,
                              pointwise_ffn, to_pointwise_layout)


class PatchEmbed(MmcvPatchEmbed):
    """Stem: strided convolution, norm, activation; stays a feature map.

    Arguments are those of mmcv's ``PatchEmbed``, which flattens the map to
    tokens and has no activation; here it is ReLU.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Embed images (N, C_in, H, W) as a map (N, C, H/4, W/4)."""
        if self.adaptive_padding:
            x = self.adaptive_padding(x)
        x = self.projection(x)
        if self.norm is not None:
            x = self.norm(x)
        return self.act(x)


class GlobalPerceptron(SELayer):
    """Squeeze-and-excite gate over the whole map (arXiv 2112.11081, 3.2).

    Args:
        channels: Channels of input and gate.
        ratio: The hidden layer has ``channels // ratio`` units, rounded to a
            multiple of ``divisor``. Defaults to 4.
        divisor: See ``ratio``. Defaults to 8.
        conv_cfg: Config of the two 1x1 convolutions. Defaults to Conv2d.
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


class ConvFFN(BaseModule):
    """Feed-forward network of two 1x1 convolutions, each with its norm.

    Args:
        channels: Channels of input and output.
        hidden_channels: Channels in between.
        conv_cfg: Config of the convolutions. Defaults to Conv2d.
        norm_cfg: Config of the norms. Defaults to BN.
        init_cfg: Initialization config. Defaults to None.
    """

    def __init__(self,
                 channels: int,
                 hidden_channels: int,
                 conv_cfg: dict | None = None,
                 norm_cfg: dict | None = None,
                 init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(init_cfg)
        layer = dict(
            kernel_size=1,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg or dict(type='BN'),
            act_cfg=None)
        self.ffn_fc1 = ConvModule(channels, hidden_channels, **layer)
        self.act = nn.GELU()
        self.ffn_fc2 = ConvModule(hidden_channels, channels, **layer)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape, every position alone.

        Without gradients and on many positions the norms are folded on the
        fly, unless somebody could tell.
        """
        if self.repays_folding(x):
            return pointwise_ffn(x, _folded(self.ffn_fc1),
                                 _folded(self.ffn_fc2))
        x = to_pointwise_layout(x)
        return self.ffn_fc2(self.act(self.ffn_fc1(x)))

    def repays_folding(self, x: Tensor) -> bool:
        """Say whether to fold the norms at every call on maps like x.

        For inference on many positions that costs less than running them over
        the maps.

        Args:
            x: Maps (N, C, H, W).
        """
        return (not self.training and not torch.is_grad_enabled()
                and is_eager_on_cpu(x) and has_many_positions(x)
                and type(self.act) is nn.GELU and is_plain(self.act)
                and self.act.approximate == 'none' and all(
                    _is_foldable(layer, x)
                    for layer in (self.ffn_fc1, self.ffn_fc2)))


def _is_foldable(layer: ConvModule, x: Tensor) -> bool:
    return (is_plain_conv_norm(layer) and not layer.with_activation
            and computed_functionally(layer.conv, x)
            and is_pointwise(layer.conv) and layer.conv.groups == 1
            and uses_running_statistics(layer.norm))


def _folded(layer: ConvModule) -> Affine:
    dtype = layer.conv.weight.dtype
    wide = torch.promote_types(dtype, torch.float32)
    weight, bias = fold_norm(layer.conv, layer.norm, 'ffn', wide)
    return weight.to(dtype), bias.to(dtype)
