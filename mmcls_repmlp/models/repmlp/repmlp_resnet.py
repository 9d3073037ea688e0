"""RepMLP-ResNet, the ResNet of arXiv 2105.01883 with RepMLP in its blocks.

Shape letters: N batch, H W map.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.model import Sequential
from torch import Tensor, nn

from mmcls_repmlp.host import MODELS
from mmcls_repmlp.models.argument_checks import (conv_kernels, drop_rate,
                                                 int_pair, last_frozen_stage,
                                                 output_stages, per_stage,
                                                 positive_int, stage_indices)
from mmcls_repmlp.models.backbone import MergeableBackbone
from mmcls_repmlp.models.stage import Stage

from .conv_bn import ConvBN
from .repmlp_resnet_blocks import (BaseBlock, RepMLPBottleneckBlock,
                                   RepMLPLightBlock, ResidualBlock)
from .resnet_arch import ResNetStage, resnet_stages, resolve_depths

BLOCKS: dict[str, Any] = {
    'base': BaseBlock,
    'light': RepMLPLightBlock,
    'bottleneck': RepMLPBottleneckBlock
}


@MODELS.register_module()
class RepMLPResNet(MergeableBackbone):
    """ResNet whose stride-1 blocks of some stages hold a RepMLP.

    Stages and blocks are laid out and named as in
    DingXiaoH/RepMLP@b626c3d: ``stage0`` is the stem, ``stage1`` to ``stage4``
    are the paper's c2 to c5. :meth:`switch_to_deploy` merges every RepMLP and
    every convolution with its norm.

    Args:
        depth: 50, 101 or 152, or a list of the blocks in every stage.
            Defaults to 50.
        block: What the stride-1 blocks of ``repmlp_stages`` are: 'light'
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
            Defaults to (3, ), or to the
            last one of fewer stages.
        conv_cfg: Config of all convolutions. Defaults to Conv2d.
        norm_cfg: Config of all norms. Defaults to BN.
        deploy: Whether to build the merged form. Defaults to False.
        frozen_stages: Freeze the stem and the stages up to this one; -1
            freezes nothing. Defaults to -1.
        norm_eval: Whether batch norms stay in eval mode during training.
            Defaults to False.
        with_cp: Whether to trade time for memory by gradient checkpointing.
            Defaults to False.
        drop_path_rate: Chance to drop the last block's residual branch; grows
            linearly from 0 over the blocks. Defaults to 0.
        init_cfg: Initialization config. Defaults to None.

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
        super().__init__(norm_eval, with_cp, init_cfg)
        if block not in BLOCKS:
            raise ValueError(f'block {block!r} is unknown: choose from '
                             f'{", ".join(BLOCKS)}')
        self.block = block
        self.expansion = (None if expansion is None else positive_int(
            'expansion', expansion))
        self.img_size = int_pair('img_size', img_size)
        self.layout = resnet_stages(
            resolve_depths(depth), self.img_size,
            positive_int('base_channels', base_channels))
        self.channels = tuple(stage.channels for stage in self.layout)
        self.out_indices = output_stages(out_indices, self.num_stages, 3)
        self.frozen_stages = last_frozen_stage(frozen_stages, self.num_stages)
        layer: dict[str, Any] = dict(
            conv_cfg=conv_cfg, norm_cfg=norm_cfg, deploy=deploy)
        self.stage0 = Sequential(
            ConvBN(in_channels, base_channels, 7, 2, relu=True, **layer),
            nn.MaxPool2d(3, stride=2, padding=1))
        repmlp = dict(
            partition_size=int_pair('partition_size', partition_size),
            reparam_conv_kernels=conv_kernels(reparam_conv_kernels),
            globalperceptron_ratio=globalperceptron_ratio)
        self._add_stages(
            self._repmlp_arguments(repmlp_stages, num_groups, reduction,
                                   repmlp), base_channels,
            drop_rate(drop_path_rate), layer)
        self.freeze()

    def _repmlp_arguments(self, stages: int | Sequence[int],
                          num_groups: int | Sequence[int],
                          reduction: int | Sequence[int],
                          repmlp: dict) -> dict[int, dict[str, Any]]:
        """Collect what blocks with a RepMLP are built with, by stage."""
        if self.block == 'base':
            return {}
        indices = stage_indices(stages, self.num_stages, 'repmlp_stages')
        groups = per_stage('num_groups', num_groups, len(indices))
        arguments: dict[int, dict[str, Any]] = {
            i: dict(
                repmlp=dict(
                    repmlp,
                    input_size=self.layout[i].map_size,
                    num_groups=group))
            for i, group in zip(indices, groups)
        }
        if self.block == 'bottleneck':
            ratios = per_stage('reduction', reduction, len(indices))
            for i, ratio in zip(indices, ratios):
                arguments[i]['reduction'] = ratio
        return arguments

    def _add_stages(self, repmlp: Mapping[int, dict], in_channels: int,
                    drop_path_rate: float, layer: dict) -> None:
        blocks = sum(stage.depth for stage in self.layout)
        rates = iter(np.linspace(0, drop_path_rate, blocks).tolist())
        for i, stage in enumerate(self.layout):
            built = []
            for j in range(stage.depth):
                built.append(
                    self._build_block(
                        stage,
                        in_channels,
                        stage.stride if j == 0 else 1,
                        repmlp.get(i),
                        drop_path_rate=next(rates),
                        **layer))
                in_channels = stage.channels
            self.add_module(f'stage{i + 1}',
                            Stage(*built, with_cp=self.with_cp))

    def _build_block(self, stage: ResNetStage, in_channels: int, stride: int,
                     repmlp: dict | None, **common: Any) -> ResidualBlock:
        if stride != 1 or repmlp is None:
            kind, special = BLOCKS['base'], dict(stride=stride)
        else:
            kind, special = BLOCKS[self.block], repmlp
        width = stage.channels // (self.expansion or kind.expansion)
        return kind(in_channels, width, stage.channels, **special, **common)

    @property
    def stages(self) -> list[Stage]:
        """The stages after the stem, in their order."""
        return [getattr(self, f'stage{i + 1}') for i in range(self.num_stages)]

    @property
    def parts(self) -> dict[str, int]:
        """Stage of every module by name; -1 is the stem's."""
        return {f'stage{i + 1}': i for i in range(-1, self.num_stages)}

    def embed(self, x: Tensor) -> Tensor:
        """Run the stem on images; those of 'base' blocks have any size."""
        return self.stage0(x) if self.block == 'base' else super().embed(x)
