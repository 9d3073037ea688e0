"""Merge a model's branches, and prove that nothing changed."""
from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from mmcls_repmlp.models.backbone import MergeableBackbone
from mmcls_repmlp.models.mergeable import (Mergeable, adopt_all,
                                           check_mergeable, plan_merging)


def reparameterize(model: nn.Module, inplace: bool = False) -> nn.Module:
    """Switch everything in a model that can be merged to its deploy form.

    Works on any module that holds modules with ``switch_to_deploy``: ours,
    and the host's own (RepVGG, MobileOne, ...). Outputs are equal in eval
    mode.
    Everything is merged or nothing. The layers that remain get new parameters:
    an optimizer of the old ones must be built anew.

    Args:
        model: The model, in training or deploy form.
        inplace: Whether to change ``model`` itself. Defaults to False.

    Returns:
        The model in deploy form: a copy, unless ``inplace``.

    Raises:
        TypeError: If the model, or a part of it, is wrapped for data-parallel
            training.
        ValueError: If a part cannot be merged, or the model cannot be copied;
            the message names the layer and the remedy.
    """
    for name, module in model.named_modules():
        if is_model_wrapper(module) or isinstance(module, nn.DataParallel):
            where = f'model.{name}.module' if name else 'model.module'
            raise TypeError('a model wrapped in '
                            f'{type(module).__name__} cannot be merged: pass '
                            f'what is inside, {where}')
    check_mergeable(model)
    if not inplace:
        model = _copied(model)
    before = set(model.state_dict())
    _merge(model)
    if set(model.state_dict()) == before:
        warnings.warn(
            'nothing to merge: the model has no part with '
            'switch_to_deploy, or is in deploy form already',
            stacklevel=2)
    return model


def largest_difference(reference: nn.Module, other: nn.Module,
                       batch: Tensor) -> float:
    """Compare two models' outputs in eval mode and float64.

    Both are copied, so that neither mode nor dtype of theirs changes.

    Args:
        reference: Model whose outputs set the scale.
        other: Model to compare.
        batch: Input of shape (N, C, H, W), any floating dtype.

    Returns:
        The largest difference between two elements, divided by the largest
        element of the reference's output it belongs to; infinite if an output
        is not finite.

    Raises:
        ValueError: If the outputs differ in number or shape.
    """
    expected, actual = (
        _outputs_in_float64(model, batch) for model in (reference, other))
    if [t.shape for t in expected] != [t.shape for t in actual]:
        raise ValueError('the models have outputs of different shapes')
    return max(map(_difference, expected, actual))


@torch.inference_mode(False)
def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except RuntimeError as error:
        raise ValueError('the model cannot be copied, as a layer is pruned or '
                         'holds a computed tensor: pass inplace=True, or '
                         f'remove that first ({error})') from error


@torch.inference_mode(False)
def _merge(model: nn.Module) -> None:
    plan = plan_merging(model)
    others = [module for module in _switchable(model) if not _is_ours(module)]
    for module in others:
        # They do not check before they change.
        copy.deepcopy(module).switch_to_deploy()
    for module in others:
        module.switch_to_deploy()
    adopt_all(model, plan)


def _is_ours(module: Any) -> bool:
    return type(module).switch_to_deploy in (
        Mergeable.switch_to_deploy, MergeableBackbone.switch_to_deploy)


def _switchable(module: nn.Module) -> Iterator[Any]:
    # What wrappers pass on to the module inside is not theirs.
    if callable(getattr(type(module), 'switch_to_deploy', None)):
        yield module
        return
    for child in module.children():
        yield from _switchable(child)


@torch.no_grad()
def _outputs_in_float64(model: nn.Module, batch: Tensor) -> list[Tensor]:
    return list(_tensors(copy.deepcopy(model).double().eval()(batch.double())))


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        yield from _tensors(output.values())
    elif isinstance(output, Iterable):
        for item in output:
            yield from _tensors(item)


def _difference(reference: Tensor, other: Tensor) -> float:
    if not (reference.isfinite().all() and other.isfinite().all()):
        return math.inf
    largest = reference.abs().max().clamp_min(torch.finfo(torch.double).tiny)
    return float((reference - other).abs().max() / largest)
