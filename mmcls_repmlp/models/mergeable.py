"""Modules with two forms: one to train, one of fewer layers to deploy."""
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmcls_repmlp.ops.fusion import Affine

from .compatibility import check_state_dict


class Mergeable(BaseModule):
    """A module whose norms and branches merge into its own layers.

    Which modules exist is the state; there is no flag that could lie.
    """

    @property
    @abstractmethod
    def training_only(self) -> tuple[str, ...]:
        """Dotted names of the modules that only the training form has.

        The first is a direct child.
        """

    @abstractmethod
    def folded(self) -> dict[str, Affine]:
        """Compute weight and bias of every layer that takes something in.

        Returns:
            By dotted name of the layer, in float64; nothing is changed.

        Raises:
            ValueError: If a norm is no batch norm with running statistics.
        """

    @property
    def deploy(self) -> bool:
        """Whether this is the merged form."""
        # They come and go together.
        return self.training_only[0] not in self._modules

    @torch.no_grad()
    def merged(self) -> dict[str, Affine]:
        """Compute :meth:`folded`, rounded once to each layer's dtype."""
        return {
            name: tuple(tensor.to(self.get_submodule(name).weight.dtype)
                        for tensor in affine)
            for name, affine in self.folded().items()
        }

    def adopt(self, layers: Mapping[str, Affine]) -> None:
        """Become the deploy form with these layers, in place.

        Args:
            layers: What :meth:`merged` gave.
        """
        for name, (weight, bias) in layers.items():
            layer = self.get_submodule(name)
            trainable = layer.weight.requires_grad
            layer.weight = nn.Parameter(weight, requires_grad=trainable)
            layer.bias = nn.Parameter(bias, requires_grad=trainable)
        for name in self.training_only:
            parent, _, child = name.rpartition('.')
            delattr(self.get_submodule(parent), child)

    def switch_to_deploy(self) -> None:
        """Merge everything that is trained apart, in place.

        A second call does nothing. If anything cannot be merged, nothing is
        changed.

        Raises:
            ValueError: If a norm is no batch norm with running statistics.
        """
        merge_all([self])

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor],
                              prefix: str, *args) -> None:
        check_state_dict(self.state_dict(), state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)


def merge_all(parts: Iterable[Mergeable]) -> None:
    """Switch all parts to their deploy form, in place, or none.

    Args:
        parts: Parts in either form, none inside another.

    Raises:
        ValueError: If one cannot be merged; nothing is changed then.
    """
    parts = [part for part in parts if not part.deploy]
    merged = [part.merged() for part in parts]
    for part, layers in zip(parts, merged):
        part.adopt(layers)
