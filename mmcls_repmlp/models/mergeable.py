"""Modules with two forms: one to train, one of fewer layers to deploy."""
from __future__ import annotations

import copy
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmcls_repmlp.ops import Affine

from .compatibility import check_state_dict
from .merge_blockers import check_no_blockers, check_unwrapped


class Mergeable(BaseModule):
    """Module whose norms and branches merge into its own layers.

    Which modules exist is the state; there is no flag that could be wrong.

    Attributes:
        unaffected: Dotted names of submodules that merging does not affect.
            All others change, go, or see other values afterwards.
    """

    unaffected: tuple[str, ...] = ()

    @property
    @abstractmethod
    def training_only(self) -> tuple[str, ...]:
        """Dotted names of the modules that only the training form has.

        The first is a direct child.
        """

    @abstractmethod
    def fold_layers(self) -> dict[str, Affine]:
        """Compute weight and bias of every layer that others merge into.

        They are in float64, by dotted name of the layer.
        """

    @property
    def deploy(self) -> bool:
        """Whether this is the merged form."""
        # They come and go together.
        return self.training_only[0] not in self._modules

    @torch.no_grad()
    def merge_layers(self) -> dict[str, Affine]:
        """Round :meth:`fold_layers` to each layer's dtype, if finite."""
        layers: dict[str, Affine] = {}
        for name, (weight, bias) in self.fold_layers().items():
            dtype = self.get_submodule(name).weight.dtype
            layers[name] = weight.to(dtype), bias.to(dtype)
            # Tensors on the meta device have no values to check.
            if not all(tensor.is_meta or tensor.isfinite().all()
                       for tensor in layers[name]):
                raise ValueError(
                    f'{name} would not be finite in {dtype} when merged: '
                    'check the weights and statistics for NaN and infinite '
                    'numbers, or merge in float32')
        return layers

    def adopt(self, layers: Mapping[str, Affine]) -> None:
        """Become the deploy form with layers of :meth:`merge_layers`."""
        for name, (weight, bias) in layers.items():
            layer = self.get_submodule(name)
            trainable = layer.weight.requires_grad
            layer.weight = nn.Parameter(weight, requires_grad=trainable)
            layer.bias = nn.Parameter(bias, requires_grad=trainable)
        for name in self.training_only:
            parent, _, child = name.rpartition('.')
            delattr(self.get_submodule(parent), child)

    def switch_to_deploy(self) -> None:
        """Merge norms and branches in place; see :func:`merge_all`."""
        merge_all(self)

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor],
                              prefix: str, *args: Any) -> None:
        check_state_dict(self, state_dict, prefix, (prefix, ))
        super()._load_from_state_dict(state_dict, prefix, *args)


@torch.inference_mode(False)
def merge_all(model: nn.Module, others: Sequence[Any] = ()) -> None:
    """Switch all parts of a model to their deploy form in place, or none.

    So are ``others``, see :func:`find_other_parts`. A second call does
    nothing. If a part cannot be merged, a ValueError, or a TypeError if it is
    wrapped or sharded, names the layer and the remedy.
    """
    check_mergeable(model)
    plan: list[tuple[Mergeable, dict[str, Affine]]] = []
    for name, part in _unmerged_parts(model):
        try:
            plan.append((part, part.merge_layers()))
        except (ValueError, RuntimeError) as error:
            where = f'{name}: ' if name else ''
            raise ValueError(f'{where}{error}') from error
    for module in others:
        # They may fail half way, so a copy goes first.
        copy.deepcopy(module).switch_to_deploy()
    for module in others:
        module.switch_to_deploy()
    for part, layers in plan:
        if not part.deploy:
            part.adopt(layers)
    _leave_inference_mode(model)


def find_other_parts(module: nn.Module) -> list[Any]:
    """List the parts whose ``switch_to_deploy`` is not of this package."""
    # Wrappers forward attribute access to the module inside: ask the type.
    switch = getattr(type(module), 'switch_to_deploy', None)
    if callable(switch):
        ours = switch.__module__.startswith('mmcls_repmlp.')
        return [] if ours else [module]
    return [
        part for child in module.children() for part in find_other_parts(child)
    ]


def _leave_inference_mode(model: nn.Module) -> None:
    # Inference tensors could be neither trained nor loaded.
    memo: dict[int, Any] = {}
    for module in model.modules():
        tables: list[dict[str, Any]] = [module._parameters, module._buffers]
        for table in tables:
            for name, tensor in table.items():
                if tensor is not None and tensor.is_inference():
                    table[name] = copy.deepcopy(tensor, memo)


def check_mergeable(model: nn.Module) -> None:
    """Raise the error of :func:`merge_all` if it is cheap to find."""
    check_unwrapped(model)
    holders = Counter(child for module in model.modules()
                      for child in set(module.children()))
    for prefix, part in _unmerged_parts(model):
        layers = [(f'{prefix}.{name}'.removeprefix('.'), module)
                  for name, module in part.named_modules()
                  if name and not any(f'{name}.'.startswith(f'{other}.')
                                      for other in part.unaffected)]
        check_no_blockers(layers)
        for name, module in layers:
            if holders[module] > 1:
                raise ValueError(f'{name} cannot be merged: it is shared with '
                                 'another module, which would change too: '
                                 'give each its own copy first')


def _unmerged_parts(model: nn.Module) -> list[tuple[str, Mergeable]]:
    return [(name, module) for name, module in model.named_modules()
            if isinstance(module, Mergeable) and not module.deploy]
