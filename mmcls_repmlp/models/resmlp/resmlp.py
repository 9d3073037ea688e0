"""ResMLP, the MLP backbone of arXiv 2105.03404, with locality injected.

Names and shapes of weights are those of timm's ``resmlp_12_224`` and others.

Shape letters: N batch, C channels, H W map, Q = H * W positions.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from mmcv.cnn.bricks import DropPath
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmcls_repmlp.host import MODELS
from mmcls_repmlp.models.argument_checks import (check_drop_path_rate,
                                                 check_kernels, check_pair,
                                                 check_positive_int,
                                                 check_strides)
from mmcls_repmlp.models.backbone import MergeableBackbone, Stage
from mmcls_repmlp.models.compatibility import check_state_dict
from mmcls_repmlp.models.local_layers import (add_convolutions,
                                              with_own_branches)


class ResMLPArch(NamedTuple):
    """Sizes of a variant; scales of the residual branches start small.

    Source: facebookresearch/deit at 7e160fe, resmlp_models.py. (timm starts
    s12 with scales of 1e-4.)
    """
    channels: int
    depth: int
    patch_size: int
    init_values: float


ARCHS = dict(
    s12=ResMLPArch(384, 12, 16, 0.1),
    s24=ResMLPArch(384, 24, 16, 1e-5),
    b24=ResMLPArch(768, 24, 8, 1e-6))


class Affine(nn.Module):
    """Scale and shift of every channel, in the place of a norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, 1, channels))
        self.beta = nn.Parameter(torch.zeros(1, 1, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, Q, C) to the same shape."""
        return torch.addcmul(self.beta, self.alpha, x)


class ResBlock(nn.Module):
    """Layer over positions, then an MLP over channels, each beside a shortcut.

    Args:
        channels: Channels C.
        grid: Height and width of the map.
        kernels: Odd sizes of the convolutions beside the layer over positions;
            none in deploy form.
        init_values: First scale of both branches.
        drop_path_rate: Probability of dropping a branch.
    """

    def __init__(self, channels: int, grid: tuple[int,
                                                  int], kernels: Sequence[int],
                 init_values: float, drop_path_rate: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = Affine(channels), Affine(channels)
        self.linear_tokens = nn.Linear(grid[0] * grid[1], grid[0] * grid[1])
        if kernels:
            add_convolutions(self.linear_tokens, grid, kernels, as_is=False)
        self.mlp_channels = nn.Sequential()
        self.mlp_channels.fc1 = nn.Linear(channels, 4 * channels)
        self.mlp_channels.act = nn.GELU()
        self.mlp_channels.fc2 = nn.Linear(4 * channels, channels)
        self.ls1, self.ls2 = (
            nn.Parameter(torch.full((channels, ), init_values))
            for _ in range(2))
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, C, H, W) to the same shape, in channels-last memory."""
        size, x = x.shape[2:], _to_rows(x)
        mixed = self.linear_tokens(self.norm1(x).transpose(1, 2))
        x = x + self.drop_path(self.ls1 * mixed.transpose(1, 2))
        x = x + self.drop_path(self.ls2 * self.mlp_channels(self.norm2(x)))
        return x.transpose(1, 2).unflatten(2, size)


class MapAffine(Affine):
    """Affine of a map."""

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, C, H, W) to the same shape."""
        rows = super().forward(_to_rows(x))
        return rows.transpose(1, 2).unflatten(2, x.shape[2:])


class PatchStem(nn.Module):
    """Strided convolution, one step for each patch."""

    def __init__(self, in_channels: int, channels: int,
                 patch_size: tuple[int, int]) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, channels, patch_size, patch_size)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, in_channels, H', W') to (N, C, H, W)."""
        return self.proj(x)


def _to_rows(x: Tensor) -> Tensor:
    """Rearrange a map x (N, C, H, W) as (N, Q, C)."""
    return x.flatten(2).transpose(1, 2)


@MODELS.register_module()
class ResMLP(MergeableBackbone):
    """ResMLP backbone, published or with convolutions to merge.

    Args:
        arch: 's12', 's24' or 'b24', in any case. Or a dict of ``channels``,
            ``depth`` and optionally ``init_values``.
        img_size: Height and width of the images, or one number for both.
            Defaults to 224.
        in_channels: Channels of the images. Defaults to 3.
        patch_size: Height and width of a patch, or one number for both.
            Defaults to that of the variant, or 16.
        reparam_conv_kernels: Odd sizes of the convolutions beside the layers
            over positions. Defaults to None: the published network.
        out_indices: Blocks whose maps are returned; negative ones count from
            the last. Defaults to the last one.
        drop_path_rate: Probability of dropping a residual branch. Defaults
            to 0.
        deploy, frozen_stages, norm_eval, with_cp, init_cfg: See
            :class:`RepMLPNet`; each block is a stage.

    Raises:
        ValueError: If an argument is out of range; the message names it.
    """

    stem_name = 'stem'

    def __init__(self,
                 arch: str | dict = 's12',
                 img_size: int | Sequence[int] = 224,
                 in_channels: int = 3,
                 patch_size: int | Sequence[int] | None = None,
                 reparam_conv_kernels: Sequence[int] | None = None,
                 out_indices: int | Sequence[int] | None = None,
                 drop_path_rate: float = 0.,
                 deploy: bool = False,
                 frozen_stages: int = -1,
                 norm_eval: bool = False,
                 with_cp: bool = False,
                 init_cfg: dict | list[dict] | None = None) -> None:
        sizes = resolve_resmlp_arch(arch)
        channels = check_positive_int('channels', sizes.channels)
        depth = check_positive_int('depth', sizes.depth)
        super().__init__([channels] * depth, img_size,
                         depth - 1 if out_indices is None else out_indices,
                         frozen_stages, norm_eval, with_cp, init_cfg
                         or dict(type='TruncNormal', layer='Linear', std=0.02))
        patch = check_pair('patch_size', patch_size or sizes.patch_size)
        check_strides(self.img_size, patch)
        kernels = () if deploy else check_kernels(reparam_conv_kernels)
        self.grid = (self.img_size[0] // patch[0],
                     self.img_size[1] // patch[1])
        self.stem = PatchStem(in_channels, channels, patch)
        rate = check_drop_path_rate(drop_path_rate)
        self.stages = ModuleList(
            Stage(
                ResBlock(channels, self.grid, kernels, sizes.init_values,
                         rate),
                with_cp=with_cp) for _ in range(depth))
        self.norm = MapAffine(channels)
        self.freeze()

    @property
    def stage_of_module(self) -> dict[str, int]:
        """Stage of every module by dotted name; -1 for the stem."""
        stages = range(self.num_stages)
        return {
            'stem': -1,
            **{
                f'stages.{i}': i
                for i in stages
            }, 'norm': self.num_stages
        }

    @property
    def stem_stride(self) -> tuple[int, int]:
        """Vertical and horizontal stride of the stem, and of all maps."""
        height, width = self.stem.proj.stride
        return height, width

    @property
    def map_names(self) -> list[str]:
        """Name of the module that computes the map of each block."""
        return [f'stages.{i}' for i in range(self.num_stages - 1)] + ['norm']

    @property
    def feature_info(self) -> list[dict[str, Any]]:
        """Description of the map of every block, see the base class."""
        height, width = self.stem_stride
        stride = height if height == width else (height, width)
        return [{**info, 'reduction': stride} for info in super().feature_info]

    def finish(self, x: Tensor) -> Tensor:
        """Scale and shift the map of the last block."""
        return self.norm(x)

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor],
                              prefix: str, *args: Any) -> None:
        # Weights of the published network fit, too: the branches stay.
        own = {
            f'{prefix}{name}': value
            for name, value in with_own_branches(self, {}).items()
        }
        complete = {
            **({} if own.keys() & state_dict.keys() else own),
            **state_dict
        }
        check_state_dict(self, complete, prefix, (f'{prefix}stages.', ))
        nn.Module._load_from_state_dict(self, state_dict, prefix, *args)


def resolve_resmlp_arch(arch: str | dict) -> ResMLPArch:
    """Resolve a variant's name, in any case, or a dict of its sizes."""
    if isinstance(arch, str):
        if arch.lower() not in ARCHS:
            raise ValueError(f'arch {arch!r} is unknown: choose from '
                             f'{", ".join(ARCHS)}')
        return ARCHS[arch.lower()]
    known = {*ResMLPArch._fields} - {'patch_size'}
    if not {'channels', 'depth'} <= {*arch} <= known:
        raise ValueError('arch must name channels and depth, and perhaps '
                         f'init_values, got {arch!r}')
    return ResMLPArch(patch_size=16, **{'init_values': 1e-4, **arch})
