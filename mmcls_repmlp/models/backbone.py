"""Base class of the backbones: a stem, stages of blocks, two forms."""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from mmengine.model import Sequential
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from mmcls_repmlp.host import BaseBackbone
from mmcls_repmlp.ops import is_traced, is_transformed
from repmlp_lite.errors import InputError

from .argument_checks import check_pair, check_stages
from .compatibility import check_state_dict
from .mergeable import Mergeable, merge_all


class MergeableBackbone(BaseBackbone):
    """Backbone of stages of blocks that merge.

    A subclass builds its modules and then calls :meth:`freeze`. It provides
    :attr:`stages` and :attr:`stage_of_module`, and overrides where it differs
    :attr:`stem_stride`, :attr:`map_names`, :attr:`map_channels`,
    :meth:`takes`, :meth:`downsample` and :meth:`finish`.

    Attributes:
        stages: The stages, in order.
        stem_name: Name of the module before the stages.
        default_stage: Stage whose map is returned by default, or the last one
            if there are fewer.
        out_after_downsample: Whether maps are taken after the downsampling
            that follows a stage, for all stages but the last. Defaults to
            False.

    Args:
        channels: Channels of every stage.

    The others are those of :class:`RepMLPNet`.
    """

    stages: Any
    stem_name: str
    default_stage = 3
    out_after_downsample = False

    def __init__(self,
                 channels: Sequence[int],
                 img_size: int | Sequence[int],
                 out_indices: int | Sequence[int] | None = None,
                 frozen_stages: int = -1,
                 norm_eval: bool = False,
                 with_cp: bool = False,
                 init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(init_cfg)
        self.channels = tuple(channels)
        self.img_size = check_pair('img_size', img_size)
        count = self.num_stages
        if out_indices is None:
            out_indices = min(self.default_stage, count - 1)
        self.out_indices = check_stages('out_indices', out_indices, count)
        if type(frozen_stages) is not int or not -1 <= frozen_stages < count:
            raise ValueError('frozen_stages must be between -1 and '
                             f'{count - 1}, got {frozen_stages!r}')
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.with_cp = with_cp

    @property
    @abstractmethod
    def stage_of_module(self) -> dict[str, int]:
        """Stage of every module by dotted name; -1 for the stem.

        A downsampling belongs to the stage after it. Modules after the last
        stage have the number of stages.
        """

    @property
    def stem_stride(self) -> tuple[int, int]:
        """Vertical and horizontal stride of the stem. Defaults to 1.

        Every stage but the first halves its map.
        """
        return 1, 1

    @property
    def num_stages(self) -> int:
        """Number of stages."""
        return len(self.channels)

    @property
    def map_names(self) -> list[str]:
        """Name of the module that computes the map of each stage."""
        return [
            name for name in self.stage_of_module
            if isinstance(self.get_submodule(name), Stage)
        ]

    @property
    def map_channels(self) -> tuple[int, ...]:
        """Channels of the map of each stage."""
        after = (*self.channels[1:], self.channels[-1])
        return after if self.out_after_downsample else self.channels

    @property
    def feature_info(self) -> list[dict[str, Any]]:
        """Description of the map of every stage, as in timm's models.

        ``num_chs`` is its channels, ``reduction`` the stride of the map (a
        pair if height and width differ) and ``module`` the dotted name of the
        module that computes it.
        """
        info = []
        for i, name in enumerate(self.map_names):
            halvings = min(i + self.out_after_downsample, self.num_stages - 1)
            height, width = (side << halvings for side in self.stem_stride)
            info.append(
                dict(
                    num_chs=self.map_channels[i],
                    reduction=height if height == width else (height, width),
                    module=name))
        return info

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map images (N, in_channels, H, W) to maps (N, C, H', W').

        They are those of the stages in ``out_indices``.
        """
        self.check_images(x)
        x, outs = self.get_submodule(self.stem_name)(x), []
        last = self.num_stages - 1
        for i, stage in enumerate(self.stages):
            x = out = stage(x)
            if i < last:
                x = self.downsample(x, i)
                out = x if self.out_after_downsample else out
            if i in self.out_indices:
                outs.append(self.finish(out) if i == last else out)
        return tuple(outs)

    def takes(self, size: tuple[int, int]) -> bool:
        """Return whether images of a size fit, by default ``img_size``."""
        return size == self.img_size

    def check_images(self, x: Tensor) -> None:
        """Raise an InputError unless images (N, in_channels, H, W) fit.

        A stem that pads would hide a wrong size, so no map is compared.
        """
        if x.dim() != 4:
            raise InputError(f'images of shape {tuple(x.shape)} are not a '
                             'batch (N, C, H, W): call unsqueeze(0) on one')
        size = x.shape[2], x.shape[3]
        if self.takes(size):
            return
        h, w = self.img_size
        remedy = f'use {h}x{w}'
        if self.takes((2 * h, 2 * w)):
            rows, cols = (max(1, round(int(got) / side))
                          for got, side in zip(size, self.img_size))
            remedy += (' or any multiple of it (pad_to_multiple=True pads to '
                       f'one), the nearest being {rows * h}x{cols * w}')
        else:
            remedy += ', RepMLP layers are trained for one size'
        raise InputError(f'images of {int(size[0])}x{int(size[1])} do not fit '
                         f'img_size={h}x{w}: {remedy}')

    def downsample(self, x: Tensor, i: int) -> Tensor:
        """Downsample the map of stage ``i``. By default stages do that."""
        return x

    def finish(self, x: Tensor) -> Tensor:
        """Process the map of the last stage. By default it is returned."""
        return x

    @property
    def deploy(self) -> bool:
        """Whether this is the merged form."""
        return all(part.deploy for part in self.mergeable_parts())

    def mergeable_parts(self) -> list[Mergeable]:
        """List the modules that merge, none inside another."""
        return [m for m in self.modules() if isinstance(m, Mergeable)]

    def switch_to_deploy(self) -> None:
        """Merge all parts or none, in place; see :func:`merge_all`."""
        merge_all(self)

    def train(self, mode: bool = True) -> MergeableBackbone:
        """Set the mode, but keep frozen modules and norms in eval mode."""
        super().train(mode)
        self.freeze()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def freeze(self) -> None:
        """Freeze the stem and the stages up to ``frozen_stages``.

        Modules after the last stage are frozen with it.
        """
        last = self.num_stages - 1
        for name, stage in self.stage_of_module.items():
            if min(max(stage, 0), last) <= self.frozen_stages:
                self.get_submodule(name).eval().requires_grad_(False)

    def get_layer_depth(self,
                        param_name: str,
                        prefix: str = '') -> tuple[int, int]:
        """Return depth and number of depths for layer-wise learning rates.

        The stem has depth 0, each block one more, with a downsampling before
        it, and all modules after the blocks the last one.
        """
        depths = [len(stage) for stage in self.stages]
        num_layers = sum(depths) + 2
        own_name = param_name.removeprefix(prefix)
        inside = param_name.startswith(prefix)
        for name, stage in self.stage_of_module.items():
            if inside and own_name.startswith(f'{name}.'):
                depth = 1 + sum(depths[:stage]) if stage >= 0 else 0
                if isinstance(self.get_submodule(name), Stage):
                    depth += int(own_name[len(name) + 1:].split('.')[0])
                return depth, num_layers
        return num_layers - 1, num_layers

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor],
                              prefix: str, *args: Any) -> None:
        # The parts check themselves too, but by the time a later one raises,
        # the first ones would be filled.
        tops = tuple(f'{prefix}{name}.'
                     for name, child in self.named_children() if any(
                         isinstance(part, Mergeable)
                         for part in child.modules()))
        check_state_dict(self, state_dict, prefix, tops)
        super()._load_from_state_dict(state_dict, prefix, *args)


class Stage(Sequential):
    """Blocks one after the other, checkpointed in training if ``with_cp``."""

    def __init__(self, *blocks: nn.Module, with_cp: bool = False) -> None:
        super().__init__(*blocks)
        self.with_cp = with_cp

    def forward(self, x: Tensor) -> Tensor:
        """Run the blocks on maps (N, C, H, W)."""
        # torch.func does not support checkpoints; compilers make their own.
        with_cp = (
            self.with_cp and self.training and torch.is_grad_enabled()
            and not is_traced() and not is_transformed())
        for block in self:
            x = run_checkpointed(block, x) if with_cp else block(x)
        return x


def run_checkpointed(module: nn.Module, x: Tensor) -> Tensor:
    """Return ``module(x)`` without keeping its activations for backward.

    Backward runs the module once more. Batch norms ignore that second pass, so
    their running statistics are those of plain training.
    """
    return checkpoint(
        module,
        x,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), _keep_statistics(module)))


@contextmanager
def _keep_statistics(module: nn.Module) -> Iterator[None]:
    # Momentum 0 leaves them unchanged. They cannot be switched off: the second
    # pass must save the same tensors for backward as the first.
    tracking = [(m, m.momentum, m.num_batches_tracked.clone())
                for m in module.modules() if isinstance(m, _BatchNorm)
                and m.training and m.num_batches_tracked is not None]
    for norm, _, _ in tracking:
        norm.momentum = 0.
    try:
        yield
    finally:
        for norm, momentum, batches in tracking:
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.copy_(batches)
