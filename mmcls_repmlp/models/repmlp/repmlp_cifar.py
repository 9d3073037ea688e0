"""Pure MLP for CIFAR-10 of arXiv 2105.01883, section 4.1 and figure 3.

Shape letters: N batch, H W map.
"""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from mmengine.model import ModuleList
from torch import Tensor, nn

from mmcls_repmlp.host import MODELS
from mmcls_repmlp.models.argument_checks import (check_kernels, check_pair,
                                                 check_positive_int,
                                                 check_positive_ints,
                                                 check_strides)
from mmcls_repmlp.models.backbone import MergeableBackbone, Stage

from .conv_bn import ConvBN, ReLU
from .repmlp import RepMLP


@MODELS.register_module()
class RepMLPCifarNet(MergeableBackbone):
    """Backbone of RepMLPs and 1x1 convolutions in turn.

    A 1x1 convolution (the paper's FC) maps the image to the channels of the
    first stage. Every block is RepMLP, ReLU, 1x1 convolution, BN, ReLU; the
    last one of a stage gives the channels of the next stage, and max pooling
    halves the map between stages. Merged, only fully connected layers remain.
    The figure leaves open the channels after the last stage; with 64 the
    deploy form has the paper's 52.8 M MACs.

    Args:
        channels: Channels of RepMLP in every stage. Defaults to (16, 32, 64).
        depth: Blocks in every stage. Defaults to 2.
        img_size: Height and width of the images, or one number for both.
            Defaults to 32.
        in_channels: Channels of the images. Defaults to 3.
        partition_size: Height and width of a partition, or one number for
            both. Defaults to 8.
        reparam_conv_kernels: Odd sizes of the local convolutions, or None
            for none. Defaults to (1, 3, 5, 7), as in figure 1 for partitions
            of 8x8.
        num_groups: Groups of FC3 and the local convolutions. Defaults to 2.
        with_global: Whether there is a global perceptron. Defaults to True.
        out_indices: Stages to return, before pooling; negative ones count
            from the last. Defaults to (2, ), or to the last one of fewer
            stages.
        conv_cfg, norm_cfg, deploy, frozen_stages, norm_eval, with_cp,
            init_cfg: See :class:`RepMLPNet`.

    Raises:
        ValueError: If an argument is out of range; the message names it.
    """

    stem_name = 'stem'
    default_stage = 2

    def __init__(self,
                 channels: Sequence[int] = (16, 32, 64),
                 depth: int = 2,
                 img_size: int | Sequence[int] = 32,
                 in_channels: int = 3,
                 partition_size: int | Sequence[int] = 8,
                 reparam_conv_kernels: Sequence[int] | None = (1, 3, 5, 7),
                 num_groups: int = 2,
                 with_global: bool = True,
                 out_indices: int | Sequence[int] | None = None,
                 conv_cfg: dict | None = None,
                 norm_cfg: dict | None = None,
                 deploy: bool = False,
                 frozen_stages: int = -1,
                 norm_eval: bool = False,
                 with_cp: bool = False,
                 init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(
            check_positive_ints('channels', channels), img_size, out_indices,
            frozen_stages, norm_eval, with_cp, init_cfg)
        check_strides(self.img_size, [1 << self.num_stages - 1] * 2)
        layer: dict[str, Any] = dict(
            conv_cfg=conv_cfg, norm_cfg=norm_cfg, deploy=deploy)
        repmlp = dict(
            partition_size=check_pair('partition_size', partition_size),
            reparam_conv_kernels=check_kernels(reparam_conv_kernels),
            num_groups=num_groups,
            with_global=with_global)
        self.stem = ConvBN(in_channels, self.channels[0], relu=True, **layer)
        self.stages = self._build_stages(
            check_positive_int('depth', depth), repmlp, layer)
        self.pool = nn.MaxPool2d(2)
        self.freeze()

    def _build_stages(self, depth: int, repmlp: dict,
                      layer: dict) -> ModuleList:
        height, width = self.img_size
        stages = ModuleList()
        for i, (own, after) in enumerate(
                pairwise([*self.channels, self.channels[-1]])):
            arguments = dict(
                input_size=(height >> i, width >> i), **repmlp, **layer)
            stages.append(
                Stage(
                    *(nn.Sequential(
                        OrderedDict(
                            repmlp=RepMLP(own, own, **arguments),
                            relu=ReLU(),
                            fc=ConvBN(
                                own,
                                after if j == depth - 1 else own,
                                relu=True,
                                **layer))) for j in range(depth)),
                    with_cp=self.with_cp))
        return stages

    @property
    def stage_of_module(self) -> dict[str, int]:
        """Stage of every module by dotted name; -1 for the stem."""
        stages = range(self.num_stages)
        return {'stem': -1, **{f'stages.{i}': i for i in stages}}

    @property
    def map_channels(self) -> tuple[int, ...]:
        """Channels of the map of each stage, those of the next stage."""
        return *self.channels[1:], self.channels[-1]

    def downsample(self, x: Tensor, i: int) -> Tensor:
        """Halve the map of stage ``i`` for the next stage."""
        return self.pool(x)
