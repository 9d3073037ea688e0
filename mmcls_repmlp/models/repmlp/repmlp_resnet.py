"""RepMLP-ResNet: ResNet with RepMLP in its blocks (arXiv 2105.01883).

Shape letters: N batch, H W map.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.model import Sequential
from torch import nn

from mmcls_repmlp.host import MODELS
from mmcls_repmlp.models import argument_checks as checks
from mmcls_repmlp.models.backbone import MergeableBackbone, Stage

from .conv_bn import ConvBN
from .repmlp_resnet_blocks import (BaseBlock, RepMLPBottleneckBlock,
                                   RepMLPLightBlock, ResidualBlock)

BLOCKS: dict[str, Any] = {
    'base': BaseBlock,
    'light': RepMLPLightBlock,
    'bottleneck': RepMLPBottleneckBlock
}
# Blocks in every stage, by the number of layers (He et al., 2016, table 1).
DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


@MODELS.register_module()
class RepMLPResNet(MergeableBackbone):
    """ResNet whose stride-1 blocks of some stages hold a RepMLP.

    Names are those of DingXiaoH/RepMLP@b626c3d: ``stage0`` is the stem,
    ``stage1`` to ``stage4`` are the paper's c2 to c5. Merging concerns every
    RepMLP and every convolution with its norm.

    Args:
        depth: 50, 101 or 152, or a list of the blocks in every stage.
            Defaults to 50.
        block: Kind of the stride-1 blocks of ``repmlp_stages``: 'light'
            (appendix A), 'bottleneck' (section 3.5), or 'base' for a plain
            ResNet. Defaults to 'light'.
        img_size: Height and width of the images, or one number for both. A
            RepMLP is built for one size of its map. Defaults to 224.
        in_channels: Channels of the images. Defaults to 3.
        base_channels: Channels of the stem; stage i has
            ``base_channels * 2**(i+2)``. Defaults to 64.
        partition_size: Height and width of a partition, or one number for
            both. Maps that it does not divide are padded. Defaults to 7.
        reparam_conv_kernels: Odd sizes of the local convolutions, or None
            for none. Defaults to (1, 3, 5).
        globalperceptron_ratio: Reduction in the global perceptron's hidden
            layer. Defaults to 1.
        num_groups: Groups of FC3 and the local convolutions, one number or
            one for each of ``repmlp_stages`` from the first. Defaults to 8.
        reduction: The paper's r, by which a 'bottleneck' block reduces
            channels before RepMLP: one number or one for each of
            ``repmlp_stages``. Defaults to (2, 4).
        expansion: Channels of a block's output per channel between its 1x1
            convolutions; 1 for the paper's FaceResNet, whose 1x1 convolutions
            do not reduce (section 4.3). Defaults to 8 in 'light' blocks and 4
            in all others.
        repmlp_stages: Stages, counted from 0, whose stride-1 blocks hold a
            RepMLP. Defaults to (1, 2), the paper's c3 and c4.
        out_indices: Stages to return; negative ones count from the last.
            Defaults to (3, ), or to the last one of fewer stages.
        conv_cfg, norm_cfg, deploy, frozen_stages, norm_eval, with_cp,
            drop_path_rate, init_cfg: See :class:`RepMLPNet`.

    Raises:
        ValueError: If an argument is out of range; the message names it.
    """

    stem_stride = (4, 4)
    stem_name = 'stage0'

    def __init__(self,
                 depth: int | Sequence[int] = 50,
                 block: str = 'light',
                 img_size: int | Sequence[int] = 224,
                 in_channels: int = 3,
                 base_channels: int = 64,
                 partition_size: int | Sequence[int] = 7,
                 reparam_conv_kernels: Sequence[int] | None = (1, 3, 5),
                 globalperceptron_ratio: int = 1,
                 num_groups: int | Sequence[int] = 8,
                 reduction: int | Sequence[int] = (2, 4),
                 expansion: int | None = None,
                 repmlp_stages: int | Sequence[int] = (1, 2),
                 out_indices: int | Sequence[int] | None = None,
                 conv_cfg: dict | None = None,
                 norm_cfg: dict | None = None,
                 deploy: bool = False,
                 frozen_stages: int = -1,
                 norm_eval: bool = False,
                 with_cp: bool = False,
                 drop_path_rate: float = 0.,
                 init_cfg: dict | list[dict] | None = None) -> None:
        if block not in BLOCKS:
            raise ValueError(f'block {block!r} is unknown: choose from '
                             f'{", ".join(BLOCKS)}')
        depths = _resolve_depths(depth)
        width = checks.check_positive_int('base_channels', base_channels)
        super().__init__([4 * width << i for i in range(len(depths))],
                         img_size, out_indices, frozen_stages, norm_eval,
                         with_cp, init_cfg)
        self.block = block
        if expansion is not None:
            checks.check_positive_int('expansion', expansion)
        self.expansion = expansion
        layer: dict[str, Any] = dict(
            conv_cfg=conv_cfg, norm_cfg=norm_cfg, deploy=deploy)
        self.stage0 = Sequential(
            ConvBN(in_channels, width, 7, 2, relu=True, **layer),
            nn.MaxPool2d(3, stride=2, padding=1))
        repmlp = dict(
            partition_size=checks.check_pair('partition_size', partition_size),
            reparam_conv_kernels=checks.check_kernels(reparam_conv_kernels),
            globalperceptron_ratio=globalperceptron_ratio)
        self._add_stages(
            depths, width,
            self._repmlp_arguments(repmlp_stages, num_groups, reduction,
                                   repmlp),
            checks.check_drop_path_rate(drop_path_rate), layer)
        self.freeze()

    def _repmlp_arguments(self, stages: int | Sequence[int],
                          num_groups: int | Sequence[int],
                          reduction: int | Sequence[int],
                          repmlp: dict) -> dict[int, dict[str, Any]]:
        """Collect the arguments of blocks with a RepMLP, by stage."""
        if self.block == 'base':
            return {}
        indices = checks.check_stages('repmlp_stages', stages, self.num_stages)
        groups = checks.check_per_stage('num_groups', num_groups, len(indices))
        arguments: dict[int, dict[str, Any]] = {}
        for i, group in zip(indices, groups):
            # The stem halves the image twice, every stage but the first once.
            height, width = (-(-side // (4 << i)) for side in self.img_size)
            arguments[i] = dict(
                repmlp=dict(
                    repmlp, input_size=(height, width), num_groups=group))
        if self.block == 'bottleneck':
            ratios = checks.check_per_stage('reduction', reduction,
                                            len(indices))
            for i, ratio in zip(indices, ratios):
                arguments[i]['reduction'] = ratio
        return arguments

    def _add_stages(self, depths: Sequence[int], in_channels: int,
                    repmlp: Mapping[int, dict], drop_path_rate: float,
                    layer: dict) -> None:
        rates = iter(np.linspace(0, drop_path_rate, sum(depths)).tolist())
        for i, (depth, channels) in enumerate(zip(depths, self.channels)):
            blocks = []
            for j in range(depth):
                blocks.append(
                    self._build_block(
                        in_channels,
                        channels,
                        2 if i > 0 and j == 0 else 1,
                        repmlp.get(i),
                        drop_path_rate=next(rates),
                        **layer))
                in_channels = channels
            self.add_module(f'stage{i + 1}',
                            Stage(*blocks, with_cp=self.with_cp))

    def _build_block(self, in_channels: int, out_channels: int, stride: int,
                     repmlp: dict | None, **common: Any) -> ResidualBlock:
        if stride != 1 or repmlp is None:
            kind, special = BLOCKS['base'], dict(stride=stride)
        else:
            kind, special = BLOCKS[self.block], repmlp
        width = out_channels // (self.expansion or kind.expansion)
        return kind(in_channels, width, out_channels, **special, **common)

    @property
    def stages(self) -> list[Stage]:
        """Stages after the stem, in order."""
        return [getattr(self, f'stage{i + 1}') for i in range(self.num_stages)]

    @property
    def stage_of_module(self) -> dict[str, int]:
        """Stage of every module by name; -1 for the stem."""
        return {f'stage{i + 1}': i for i in range(-1, self.num_stages)}

    def takes(self, size: tuple[int, int]) -> bool:
        """Return whether images of a size fit: any if there is no RepMLP."""
        return self.block == 'base' or super().takes(size)


def _resolve_depths(depth: int | Sequence[int]) -> tuple[int, ...]:
    if not isinstance(depth, int):
        return checks.check_positive_ints('depth', depth)
    if depth not in DEPTHS:
        raise ValueError(f'depth {depth} is unknown: choose from '
                         f'{", ".join(map(str, DEPTHS))}, or list the blocks '
                         'of every stage')
    return DEPTHS[depth]
