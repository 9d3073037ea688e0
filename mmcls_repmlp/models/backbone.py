"""The contract of the backbones: a stem, stages of blocks, both forms.

A subclass builds its modules, names its stem and its stages, and says what
else stands between them; the base walks through them, freezes and checks them,
and tells how deep each lies.
"""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmcls_repmlp.host import BaseBackbone
from repmlp_lite.errors import InputError

from .compatibility import check_state_dict
from .mergeable import Mergeable, merge_all
from .stage import Stage


class MergeableBackbone(BaseBackbone):
    """A backbone of stages of blocks that merge.

    A subclass sets the attributes, calls :meth:`freeze` when all is built, and
    overrides what is its own: :attr:`stages`, :attr:`parts`,
    :attr:`stem_stride`, :attr:`map_names`, :attr:`map_channels`,
    :meth:`embed`,
    :meth:`downsample`, :meth:`finish`.

    Attributes:
        img_size: Height and width of the images it is built for.
        channels: Channels of every stage.
        out_indices: Stages whose maps are returned, in their order.
        out_after_downsample: Whether these are taken after the downsampling
            that follows, for all stages but the last. Defaults to False.
        frozen_stages: The last stage that is frozen; -1 for none.
        stem_name: Name of the module before the stages.

    Args:
        norm_eval: Whether batch norms stay in eval mode during training.
            Defaults to False.
        with_cp: Whether to trade time for memory by gradient checkpointing.
            Defaults to False.
        init_cfg: Initialization config. Defaults to None.
    """

    img_size: tuple[int, int]
    channels: tuple[int, ...]
    out_indices: tuple[int, ...]
    out_after_downsample = False
    frozen_stages = -1
    stem_name: str

    def __init__(self,
                 norm_eval: bool = False,
                 with_cp: bool = False,
                 init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(init_cfg)
        self.norm_eval = norm_eval
        self.with_cp = with_cp

    @property
    @abstractmethod
    def parts(self) -> dict[str, int]:
        """Stage of every module by dotted name; -1 is the stem's.

        What leads from one stage to the next belongs to the next, and what
        follows the last stage to one that does not exist.
        """

    @property
    def stem_stride(self) -> tuple[int, int]:
        """Height and width of an image over those of the stem's map; here 1.

        Every stage but the first halves its map.
        """
        return 1, 1

    @property
    def num_stages(self) -> int:
        """Number of stages."""
        return len(self.channels)

    @property
    def map_names(self) -> list[str]:
        """Name the module that gives the map of each stage."""
        return [
            name for name in self.parts
            if isinstance(self.get_submodule(name), Stage)
        ]

    @property
    def map_channels(self) -> tuple[int, ...]:
        """Channels of the map of each stage."""
        after = (*self.channels[1:], self.channels[-1])
        return after if self.out_after_downsample else self.channels

    @property
    def feature_info(self) -> list[dict[str, Any]]:
        """Describe the map of every stage, as timm's models do.

        Each has ``num_chs``, its channels; ``reduction``, the side of an image
        over its own, or a pair where height and width differ; ``module``, the
        dotted name of what gives it.
        """
        last, info = self.num_stages - 1, []
        for i, name in enumerate(self.map_names):
            at = min(i + self.out_after_downsample, last)
            height, width = (stride << at for stride in self.stem_stride)
            info.append(
                dict(
                    num_chs=self.map_channels[i],
                    reduction=height if height == width else (height, width),
                    module=name))
        return info

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the maps of the stages in ``out_indices``, in their order.

        Args:
            x: Images of shape (N, in_channels, H, W).

        Returns:
            Maps of shape (N, C, H', W').

        Raises:
            InputError: If the backbone does not take this size; it is a
                ValueError.
        """
        x, outs, last = self.embed(x), [], self.num_stages - 1
        for i, stage in enumerate(self.stages):
            x = out = stage(x)
            if i < last:
                x = self.downsample(x, i)
                out = x if self.out_after_downsample else out
            if i in self.out_indices:
                outs.append(self.finish(out) if i == last else out)
        return tuple(outs)

    def embed(self, x: Tensor) -> Tensor:
        """Check images (N, in_channels, H, W) and run the stem on them.

        Raises:
            InputError: If they have another size than ``img_size``.
        """
        size = tuple(x.shape[2:])
        if size != self.img_size:
            h, w = self.img_size
            raise InputError(
                f'images of {size[0]}x{size[1]} do not fit img_size={h}x{w}: '
                f'use {h}x{w}, RepMLP layers are trained for one size')
        return self.get_submodule(self.stem_name)(x)

    def downsample(self, x: Tensor, i: int) -> Tensor:
        """Lead the map of stage ``i`` to the next stage; here as it is."""
        return x

    def finish(self, x: Tensor) -> Tensor:
        """Do what follows the last stage to its map; here nothing."""
        return x

    @property
    def deploy(self) -> bool:
        """Whether this is the merged form."""
        return all(part.deploy for part in self.mergeable_parts())

    def mergeable_parts(self) -> list[Mergeable]:
        """List the parts that merge, none inside another."""
        return [m for m in self.modules() if isinstance(m, Mergeable)]

    def switch_to_deploy(self) -> None:
        """Merge every part, in place; all or none.

        A second call does nothing.

        Raises:
            ValueError: If a part cannot be merged; the message names the
                layer and the remedy, and nothing is changed.
        """
        merge_all(self)

    @property
    def with_cp(self) -> bool:
        """Whether stages trade time for memory by checkpointing."""
        return self._with_cp

    @with_cp.setter
    def with_cp(self, with_cp: bool) -> None:
        self._with_cp = with_cp
        for module in self.modules():
            if isinstance(module, Stage):
                module.with_cp = with_cp

    def train(self, mode: bool = True) -> MergeableBackbone:
        """Set the mode, but keep frozen parts and frozen norms in eval."""
        super().train(mode)
        self.freeze()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def freeze(self) -> None:
        """Put what ``frozen_stages`` names into eval mode, without gradients.

        The stem goes with the first stage, what follows the last one with it.
        """
        last = self.num_stages - 1
        for name, stage in self.parts.items():
            if min(max(stage, 0), last) <= self.frozen_stages:
                self.get_submodule(name).eval().requires_grad_(False)

    def get_layer_depth(self,
                        param_name: str,
                        prefix: str = '') -> tuple[int, int]:
        """Tell how deep a parameter lies, for layer-wise learning rates.

        Args:
            param_name: Name of the parameter, with ``prefix``.
            prefix: What the backbone's names start with. Defaults to ''.

        Returns:
            Depth of the parameter (0 for the stem; one more for each block,
            downsampling counting with the block after it) and the number of
            depths, including one for what comes after the blocks.
        """
        depths = [len(stage) for stage in self.stages]
        num_layers = sum(depths) + 2
        own_name = param_name.removeprefix(prefix)
        inside = param_name.startswith(prefix)
        for name, stage in self.parts.items():
            if inside and own_name.startswith(f'{name}.'):
                depth = 1 + sum(depths[:stage]) if stage >= 0 else 0
                if isinstance(self.get_submodule(name), Stage):
                    depth += int(own_name[len(name) + 1:].split('.')[0])
                return depth, num_layers
        return num_layers - 1, num_layers

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor],
                              prefix: str, *args: Any) -> None:
        self._check_parts(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _check_parts(self, state_dict: Mapping[str, Tensor],
                     prefix: str) -> None:
        # The parts check themselves, but the first ones would be filled by
        # the time a later one refuses.
        tops = {
            name.split('.')[0]
            for name in self.parts if any(
                isinstance(module, Mergeable)
                for module in self.get_submodule(name).modules())
        }
        check_state_dict(
            {
                name: value
                for name, value in self.state_dict().items()
                if name.split('.')[0] in tops
            }, {
                name: value
                for name, value in state_dict.items()
                if name.removeprefix(prefix).split('.')[0] in tops
            }, prefix)
