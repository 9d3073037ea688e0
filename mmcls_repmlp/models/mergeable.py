"""Modules with two forms: one to train, one of fewer layers to deploy."""
from __future__ import annotations

import copy
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmcls_repmlp.ops import Affine

from .compatibility import check_state_dict
from .merge_blockers import check_no_blockers, check_one_device

Plan = list[tuple['Mergeable', dict[str, Affine]]]


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
    def untouched(self) -> tuple[str, ...]:
        """Dotted names of the modules inside that merging does not concern.

        All others are layers that change, go, or see other values afterwards.
        """
        return ()

    def touched_modules(self) -> Iterator[tuple[str, nn.Module]]:
        """Find the modules inside that merging concerns, with their names."""
        for name, module in self.named_modules():
            if name and not any(f'{name}.'.startswith(f'{other}.')
                                for other in self.untouched):
                yield name, module

    @property
    def deploy(self) -> bool:
        """Whether this is the merged form."""
        # They come and go together.
        return self.training_only[0] not in self._modules

    @torch.no_grad()
    def merged(self) -> dict[str, Affine]:
        """Compute :meth:`folded`, rounded once to each layer's dtype.

        Raises:
            ValueError: If something cannot be merged, or what would come of
                it is not finite.
        """
        layers: dict[str, Affine] = {}
        for name, (weight, bias) in self.folded().items():
            dtype = self.get_submodule(name).weight.dtype
            layers[name] = weight.to(dtype), bias.to(dtype)
            # On the meta device there is nothing to be finite.
            if not all(tensor.is_meta or tensor.isfinite().all()
                       for tensor in layers[name]):
                raise ValueError(
                    f'{name} would not be finite in {dtype} when merged: '
                    'check the weights and statistics for NaN and infinite '
                    'numbers, or merge in float32')
        return layers

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
            ValueError: If something cannot be merged; the message names the
                layer and the remedy.
        """
        merge_all(self)

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor],
                              prefix: str, *args: Any) -> None:
        check_state_dict(self.state_dict(), state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)


def merge_all(model: nn.Module) -> None:
    """Switch all parts of a model to their deploy form, in place, or none.

    Args:
        model: A part or a module that holds parts, in either form, none
            inside another.

    Raises:
        ValueError: If one cannot be merged; the message names the layer and
            the remedy, and nothing is changed.
    """
    adopt_all(model, plan_merging(model))


def plan_merging(model: nn.Module) -> Plan:
    """Compute what all parts of a model become; changes nothing.

    Args:
        model: See :func:`merge_all`.

    Returns:
        The parts that are not merged yet, with their layers to come.

    Raises:
        ValueError: See :func:`merge_all`.
    """
    check_mergeable(model)
    return [(part, _merged(name, part)) for name, part in _unmerged(model)]


@torch.inference_mode(False)
def adopt_all(model: nn.Module, plan: Plan) -> None:
    """Carry out what :func:`plan_merging` computed, where it is not done."""
    for part, layers in plan:
        if not part.deploy:
            part.adopt(layers)
    _leave_inference_mode(model)


def _leave_inference_mode(model: nn.Module) -> None:
    # What a model built in inference mode has could not be trained or loaded.
    memo: dict[int, Any] = {}
    for module in model.modules():
        tables: tuple[dict[str, Any],
                      ...] = (module._parameters, module._buffers)
        for table in tables:
            for name, tensor in table.items():
                if tensor is not None and tensor.is_inference():
                    table[name] = copy.deepcopy(tensor, memo)


def check_mergeable(model: nn.Module) -> None:
    """Refuse a model with something in the way of merging, at little cost.

    Raises:
        ValueError: If there is; the message names the layer and the remedy.
    """
    holders = Counter(child for module in model.modules()
                      for child in set(module.children()))
    for prefix, part in _unmerged(model):
        touched = [(f'{prefix}.{name}' if prefix else name, module)
                   for name, module in part.touched_modules()]
        check_no_blockers(touched)
        check_one_device(touched)
        for name, module in touched:
            if holders[module] > 1:
                raise ValueError(f'{name} cannot be merged: it is shared with '
                                 'another module, which would change too: '
                                 'give each its own copy first')


def _unmerged(model: nn.Module) -> list[tuple[str, Mergeable]]:
    return [(name, module) for name, module in model.named_modules()
            if isinstance(module, Mergeable) and not module.deploy]


@torch.inference_mode(False)
def _merged(name: str, part: Mergeable) -> dict[str, Affine]:
    # Tensors made in inference mode could not be trained or loaded.
    try:
        return part.merged()
    except (ValueError, RuntimeError) as error:
        where = f'{name}: ' if name else ''
        raise ValueError(f'{where}{error}') from error
