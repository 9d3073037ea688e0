"""Merging of whole models, and the comparison of their outputs."""
from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mmcls_repmlp.models.merge_blockers import check_unwrapped
from mmcls_repmlp.models.mergeable import (check_mergeable, find_other_parts,
                                           merge_all)


def reparameterize(model: nn.Module, inplace: bool = False) -> nn.Module:
    """Switch every part of a model that merges to its deploy form, or none.

    Parts are modules with ``switch_to_deploy``, ours and the host's (RepVGG,
    MobileOne, ...). Outputs in eval mode do not change. Merged layers get new
    parameters, which need a new optimizer.

    Args:
        model: The model, in training or deploy form.
        inplace: Whether to change ``model`` itself. Defaults to False.

    Returns:
        The model in deploy form: a copy, unless ``inplace``.

    Raises:
        TypeError: If a module is wrapped or sharded for parallel training.
        ValueError: If a part cannot be merged, or the model cannot be copied;
            the message names the layer and the remedy.
    """
    check_unwrapped(model)
    if not inplace:
        model = _copy_model(model)
    before = set(model.state_dict())
    merge_all(model, find_other_parts(model))
    if set(model.state_dict()) == before:
        warnings.warn(
            'nothing to merge: the model has no part with '
            'switch_to_deploy, or is in deploy form already',
            stacklevel=2)
    return model


def largest_difference(reference: nn.Module, other: nn.Module,
                       batch: Tensor) -> float:
    """Compare two models' outputs in eval mode and float64.

    Args:
        reference: Model whose outputs set the scale. It is not changed.
        other: Model to compare with it. It is not changed.
        batch: Input of shape (N, C, H, W), any floating dtype.

    Returns:
        The largest difference between two elements, relative to the largest
        element of that output of the reference; infinite if an output is not
        finite.

    Raises:
        ValueError: If the outputs differ in number or shape.
    """
    expected, actual = (
        _run_in_float64(model, batch) for model in (reference, other))
    if [t.shape for t in expected] != [t.shape for t in actual]:
        raise ValueError('the models have outputs of different shapes')
    return max(map(_relative_difference, expected, actual))


@torch.inference_mode(False)
def _copy_model(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except RuntimeError as error:
        check_mergeable(model)
        raise ValueError('the model cannot be copied, as a layer is pruned or '
                         'holds a computed tensor: pass inplace=True, or '
                         f'remove that first ({error})') from error


@torch.no_grad()
def _run_in_float64(model: nn.Module, batch: Tensor) -> list[Tensor]:
    return list(
        _iter_tensors(copy.deepcopy(model).double().eval()(batch.double())))


def _iter_tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        yield from _iter_tensors(output.values())
    elif isinstance(output, Iterable):
        for item in output:
            yield from _iter_tensors(item)


def _relative_difference(reference: Tensor, other: Tensor) -> float:
    if not (reference.isfinite().all() and other.isfinite().all()):
        return math.inf
    largest = reference.abs().max().clamp_min(torch.finfo(torch.double).tiny)
    return float((reference - other).abs().max() / largest)
