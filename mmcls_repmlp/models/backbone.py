"""What the backbones share: both forms, freezing, checkpointing."""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from mmcls.models.backbones.base_backbone import BaseBackbone
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmcls_repmlp.errors import InputError

from .compatibility import check_state_dict
from .mergeable import Mergeable, merge_all
from .stage import Stage


class MergeableBackbone(BaseBackbone):
    """A backbone of blocks that merge.

    Args:
        norm_eval: Whether batch norms stay in eval mode during training.
            Defaults to False.
        with_cp: Whether to trade time for memory by gradient checkpointing.
            Defaults to False.
        init_cfg: Initialization config. Defaults to None.
    """

    def __init__(self,
                 norm_eval: bool = False,
                 with_cp: bool = False,
                 init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(init_cfg)
        self.norm_eval = norm_eval
        self.with_cp = with_cp

    @abstractmethod
    def frozen_modules(self) -> list[nn.Module]:
        """List the modules that ``frozen_stages`` freezes."""

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
        """Put :meth:`frozen_modules` into eval mode, without gradients."""
        for module in self.frozen_modules():
            module.eval()
            module.requires_grad_(False)

    def check_image_size(self, size: tuple[int, int]) -> None:
        """Refuse images of another size than ``img_size``.

        For backbones with fully connected layers over whole maps.

        Raises:
            InputError: If height and width are others.
        """
        if size != self.img_size:
            h, w = self.img_size
            raise InputError(
                f'images of {size[0]}x{size[1]} do not fit img_size={h}x{w}: '
                f'use {h}x{w}, RepMLP layers are trained for one size')

    def check_stages(self, stages: Mapping[str, nn.Module],
                     state_dict: Mapping[str, Tensor], prefix: str) -> None:
        """Check what is about to be loaded before any part is loaded.

        The parts check themselves, but the first ones would be filled by the
        time a later one refuses.

        Raises:
            CheckpointError: If some stages do not fit.
        """
        check_state_dict(
            {
                f'{name}.{key}': value
                for name, stage in stages.items()
                for key, value in stage.state_dict().items()
            }, {
                key: value
                for key, value in state_dict.items()
                if key.removeprefix(prefix).split('.')[0] in stages
            }, prefix)
