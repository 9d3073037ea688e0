"""RepMLPNet, the hierarchical MLP backbone of arXiv 2112.11081.

Shape letters: N batch, C channels, H W map, h w partition.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.cnn import ConvModule, build_norm_layer
from mmcv.cnn.bricks.transformer import PatchEmbed as MmcvPatchEmbed
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmcls_repmlp.host import MODELS
from mmcls_repmlp.models.argument_checks import (check_drop_path_rate,
                                                 check_kernels, check_pair,
                                                 check_strides)
from mmcls_repmlp.models.backbone import MergeableBackbone, Stage
from mmcls_repmlp.ops import crop_padding, pad_below_and_right

from .arch import ARCH_ZOO, Arch, resolve_arch
from .repmlp_block import RepMLPNetUnit


class PatchEmbed(MmcvPatchEmbed):
    """Stem: strided convolution, norm and ReLU, which gives a map.

    Arguments are those of mmcv's ``PatchEmbed``, which flattens the map to
    tokens and has no activation.
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


@MODELS.register_module(force=True)
class RepMLPNet(MergeableBackbone):
    """RepMLPNet backbone (arXiv 2112.11081) in training or deploy form.

    It replaces the host's class of this name: configs and checkpoints of
    either work in the other, with the same outputs.

    Args:
        arch: Name of a variant: 't', 'b', 'd', 'l', or the aliases 'tiny',
            'base', 'deep', 'large', in any case. Or a dict of lists or
            tuples ``channels``, ``depths``, ``sharesets_nums`` and optionally
            ``globalperceptron_divisor`` (8 by default).
        img_size: Height and width of training images, or one number for
            both. It fixes the partitions: one covers the whole map at this
            size. Defaults to 224.
        in_channels: Channels of the images. Defaults to 3.
        patch_size: Height and width of a patch, or one number for both.
            Defaults to 4.
        out_indices: Stages to return; negative ones count from the last.
            Defaults to (3, ), or to the last one of fewer stages.
        reparam_conv_kernels: Odd sizes of the local convolutions, or None
            for none. Defaults to (1, 3).
        globalperceptron_ratio: The gate's hidden layer has C // ratio units.
            Defaults to 4.
        conv_cfg: Config of all convolutions. Defaults to Conv2d.
        norm_cfg: Config of all norms. Defaults to BN.
        patch_cfg: Further arguments of the patch embedding. Defaults to none.
        final_norm: Whether to normalise the last stage's output. Defaults to
            True.
        deploy: Whether to build the merged form. Defaults to False.
        init_cfg: Initialization config. Defaults to None.
        out_after_downsample: Whether an output before the last stage is
            taken after the downsampling that follows it, as in the host's
            RepMLPNet. Defaults to False: the stage's own output.
        frozen_stages: Freeze the stem and the stages up to this one; -1
            freezes nothing. Defaults to -1.
        norm_eval: Whether batch norms stay in eval mode during training.
            Defaults to False.
        with_cp: Whether to trade time for memory by gradient checkpointing.
            Defaults to False.
        drop_path_rate: Probability of dropping the last block's residual
            branches; it grows linearly from 0 over the blocks. Defaults to 0.
        pad_to_multiple: Whether to take images of any size: they are padded
            with zeros below and to the right to a multiple of ``img_size``,
            and the maps are cropped back. Defaults to False: other sizes
            raise an InputError.

    Raises:
        ValueError: If an argument is out of range; the message names it.
    """

    arch_zoo = ARCH_ZOO
    stem_name = 'patch_embed'
    num_extra_tokens = 0  # maps have no cls-token

    def __init__(self,
                 arch: str | dict | Arch,
                 img_size: int | Sequence[int] = 224,
                 in_channels: int = 3,
                 patch_size: int | Sequence[int] = 4,
                 out_indices: int | Sequence[int] | None = None,
                 reparam_conv_kernels: Sequence[int] | None = (1, 3),
                 globalperceptron_ratio: int = 4,
                 conv_cfg: dict | None = None,
                 norm_cfg: dict | None = None,
                 patch_cfg: dict | None = None,
                 final_norm: bool = True,
                 deploy: bool = False,
                 init_cfg: dict | list[dict] | None = None,
                 out_after_downsample: bool = False,
                 frozen_stages: int = -1,
                 norm_eval: bool = False,
                 with_cp: bool = False,
                 drop_path_rate: float = 0.,
                 pad_to_multiple: bool = False) -> None:
        resolved = resolve_arch(arch)
        super().__init__(resolved.channels, img_size, out_indices,
                         frozen_stages, norm_eval, with_cp, init_cfg)
        self.arch = resolved
        self.reparam_conv_kernels = check_kernels(reparam_conv_kernels)
        self.out_after_downsample = out_after_downsample
        norm_cfg = norm_cfg or dict(type='BN', requires_grad=True)
        cfgs: dict[str, Any] = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)

        self.patch_embed = self._build_stem(
            in_channels, check_pair('patch_size', patch_size), patch_cfg or {},
            **cfgs)
        self.partition_sizes = self._partition_sizes()
        self.pad_to_multiple = pad_to_multiple
        self.stages = self._build_stages(
            check_drop_path_rate(drop_path_rate),
            reparam_conv_kernels=self.reparam_conv_kernels,
            globalperceptron_ratio=globalperceptron_ratio,
            globalperceptron_divisor=self.arch.globalperceptron_divisor,
            deploy=deploy,
            **cfgs)
        self.downsample_layers = ModuleList(
            # An inplace ReLU would break backward hooks on the norm.
            ConvModule(c, c_next, 2, stride=2, inplace=False, **cfgs)
            for c, c_next in zip(self.channels, self.channels[1:]))
        self.final_norm = (
            build_norm_layer(norm_cfg, self.channels[-1])[1]
            if final_norm else nn.Identity())
        self.freeze()

    def _build_stem(self, in_channels: int, patch_size: tuple[int, int],
                    patch_cfg: dict, conv_cfg: dict | None,
                    norm_cfg: dict) -> PatchEmbed:
        defaults = dict(
            in_channels=in_channels,
            input_size=self.img_size,
            embed_dims=self.channels[0],
            conv_type=(conv_cfg or dict(type='Conv2d'))['type'],
            kernel_size=patch_size,
            stride=patch_size,
            norm_cfg=norm_cfg,
            bias=False)
        return PatchEmbed(**{**defaults, **patch_cfg})

    def _partition_sizes(self) -> list[tuple[int, int]]:
        """Return the size of a partition of every stage, its whole map."""
        stages = range(self.num_stages)
        check_strides(self.img_size,
                      [side << stages[-1] for side in self.stem_stride])
        height, width = (
            side // stride
            for side, stride in zip(self.img_size, self.stem_stride))
        if self.patch_embed.init_out_size != (height, width):
            raise ValueError(
                f'patch_cfg must give maps of {height}x{width}, the image by '
                f'the stride, got {self.patch_embed.init_out_size}: change '
                'its padding')
        return [(height >> i, width >> i) for i in stages]

    def _build_stages(self, drop_path_rate: float, **unit: Any) -> ModuleList:
        depths = self.arch.depths
        rates = iter(np.linspace(0, drop_path_rate, sum(depths)).tolist())
        return ModuleList(
            Stage(
                *(RepMLPNetUnit(
                    channels=self.channels[i],
                    path_h=self.partition_sizes[i][0],
                    path_w=self.partition_sizes[i][1],
                    num_sharesets=self.arch.sharesets_nums[i],
                    drop_path_rate=next(rates),
                    **unit) for _ in range(depth)),
                with_cp=self.with_cp) for i, depth in enumerate(depths))

    @property
    def stage_of_module(self) -> dict[str, int]:
        """Stage of every module by dotted name; -1 for the stem."""
        stages = range(self.num_stages)
        parts = {f'stages.{i}': i for i in stages}
        parts |= {f'downsample_layers.{i}': i + 1 for i in stages[:-1]}
        return {'patch_embed': -1, **parts, 'final_norm': self.num_stages}

    @property
    def stem_stride(self) -> tuple[int, int]:
        """Vertical and horizontal stride of the stem."""
        height, width = self.patch_embed.projection.stride
        return height, width

    @property
    def map_names(self) -> list[str]:
        """Name of the module that computes the map of each stage."""
        names = ('downsample_layers'
                 if self.out_after_downsample else 'stages')
        before = [f'{names}.{i}' for i in range(self.num_stages - 1)]
        return [*before, 'final_norm']

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the maps of the stages in ``out_indices``.

        Args:
            x: Images of shape (N, in_channels, H, W), H and W multiples of
                ``img_size``'s, or any with ``pad_to_multiple``.

        Returns:
            Maps of shape (N, channels[i], H / 2**(i+2), W / 2**(i+2)) for
            patches of 4, rounded up if padded; with ``out_after_downsample``
            those of the next stage for all but the last.
        """
        if not self.pad_to_multiple:
            return super().forward(x)
        padded = pad_below_and_right(x, self.img_size)
        return tuple(
            crop_padding(out, tuple(x.shape[2:]), tuple(padded.shape[2:]))
            for out in super().forward(padded))

    def takes(self, size: tuple[int, int]) -> bool:
        """Return whether images of a size are multiples of ``img_size``."""
        return all(got and not got % side
                   for got, side in zip(size, self.img_size))

    def downsample(self, x: Tensor, i: int) -> Tensor:
        """Halve the map of stage ``i`` for the next stage."""
        return self.downsample_layers[i](x)

    def finish(self, x: Tensor) -> Tensor:
        """Apply the final norm to the map of the last stage."""
        return self.final_norm(x)
