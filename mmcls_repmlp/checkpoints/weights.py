"""Weights out of what a checkpoint holds, checked."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from repmlp_lite.errors import CheckpointError, option, quote_path, shorten

# What mmengine's EMAHook writes: the averaged weights under the usual name,
# the ones that are trained under the other.
_AVERAGED, _RAW = 'state_dict', 'ema_state_dict'
# Parts of names that wrappers leave: torch.compile, FSDP, gradient
# checkpointing and Lightning's strategies, at any depth.
_WRAPPERS = ('_orig_mod', '_fsdp_wrapped_module', '_checkpoint_wrapped_module',
             '_forward_module')
# Around all of a model: DDP and averaged models, Lightning modules.
_OUTER = ('module.', 'model.')
_COUNTERS = ('n_averaged', 'steps')  # of averaged models
# Weights may share memory, but not so that a small file fills the machine's:
# they claim at most this many times what they hold, or this many bytes.
_TIMES, _HARMLESS = 16, 2**30


def state_dict_of(checkpoint: Any,
                  source: str | Path,
                  key: str | None = None) -> dict[str, Tensor]:
    """Take the weights out of a checkpoint.

    Args:
        checkpoint: A state dict, or a dict that holds one, such as mmengine's
            'state_dict' or the official code's 'model'; names may carry what
            DDP, FSDP, torch.compile, Lightning and AveragedModel put before
            them, in any nesting.
        source: What an error calls the file.
        key: Where in the dict the weights are, dotted if deeper. Defaults to
            where there are any. Of the two sets that mmengine's EMAHook
            writes that is 'state_dict', the averaged one; of other several
            sets none is chosen.

    Returns:
        Weights by name: each strided, real and finite, on the CPU.

    Raises:
        CheckpointError: If there is no set of weights or several, unless
            ``key`` names one, or if a weight is of another kind.
    """
    sets = dict(_weight_sets(checkpoint))
    weights = _unwrap(_choose(sets, source, key), source)
    _check_each(weights, source, _unusable_kind)
    _check_size(weights, source)
    _check_each(weights, source, _not_finite)
    return weights


def _weight_sets(content: Any,
                 depth: int = 2) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    """Find what has tensors by name, by its own dotted name."""
    if not isinstance(content, Mapping):
        return
    if _is_weights(content):
        yield '', content
    elif depth:
        for name, value in content.items():
            if isinstance(name, str) and not name.startswith('optim'):
                for inner, weights in _weight_sets(value, depth - 1):
                    yield f'{name}.{inner}'.removesuffix('.'), weights


def _is_weights(content: Mapping) -> bool:
    # States of random number generators are tensors too, but of integers.
    return all(
        isinstance(name, str) and isinstance(value, Tensor)
        for name, value in content.items()) and any(
            value.is_floating_point() or value.is_complex()
            or value.is_quantized for value in content.values())


def _choose(sets: Mapping[str, Mapping[str, Tensor]], source: str | Path,
            key: str | None) -> Mapping[str, Tensor]:
    names = shorten(', '.join(repr(name) for name in sets if name), 90)
    if key is not None:
        if key not in sets:
            raise CheckpointError(
                f'checkpoint {quote_path(source)} holds no state dict under '
                f'{key!r}: ' +
                (f'choose from {names}' if names else 'leave the key out'))
        return sets[key]
    if not sets:
        raise CheckpointError(
            f'checkpoint {quote_path(source)} holds no state dict: expected '
            "tensors by name, alone or under a key such as 'state_dict'")
    if set(sets) == {_AVERAGED, _RAW}:
        print_log(
            f'{quote_path(source)}: taking {_AVERAGED!r}, which mmengine '
            f'averaged; {_RAW!r} holds the weights as they were trained',
            logger='current')
        return sets[_AVERAGED]
    if len(sets) > 1:
        raise CheckpointError(
            f'checkpoint {quote_path(source)} holds several sets of weights: '
            f'choose one with {option("key", ...)}, out of {names} '
            '(publish_model.py --key '
            'makes a file of one alone, to train from)')
    return next(iter(sets.values()))


def _unwrap(weights: Mapping[str, Tensor],
            source: str | Path) -> dict[str, Tensor]:
    names = {
        name: '.'.join(
            part for part in name.split('.') if part not in _WRAPPERS)
        for name in weights
    }
    while prefix := _outer_prefix(names.values()):
        names = {
            old: name.removeprefix(prefix)
            for old, name in names.items() if name not in _COUNTERS
        }
    if len(set(names.values())) < len(names):
        raise CheckpointError(
            f'checkpoint {quote_path(source)} holds the same weights inside '
            'and outside of a wrapper: save the state dict of one model alone')
    return {name: weights[old].detach() for old, name in names.items()}


def _outer_prefix(names: Iterable[str]) -> str:
    names = [name for name in names if name not in _COUNTERS]
    return next((prefix for prefix in _OUTER
                 if names and all(name.startswith(prefix) for name in names)),
                '')


def _check_each(weights: Mapping[str, Tensor], source: str | Path,
                find_fault: Callable[[Tensor], str]) -> None:
    for name, weight in weights.items():
        fault = find_fault(weight)
        if fault:
            raise CheckpointError(
                f'checkpoint {quote_path(source)} cannot be used, its entry '
                f'{shorten(name, 60)!r} {fault}')


def _unusable_kind(weight: Tensor) -> str:
    if weight.device.type != 'cpu':
        return ('has no numbers, only a shape: save the model when it is not '
                f'on the device {weight.device.type!r}')
    if (weight.layout != torch.strided or weight.is_quantized
            or weight.is_nested or type(weight) not in (Tensor, nn.Parameter)):
        return ('is no plain tensor (sparse, quantized, nested or of a class '
                'of its own): save it as a dense one')
    return 'is complex: save real weights' if weight.is_complex() else ''


def _check_size(weights: Mapping[str, Tensor], source: str | Path) -> None:
    claimed = sum(weight.nbytes for weight in weights.values())
    storages = [weight.untyped_storage() for weight in weights.values()]
    held = sum({s.data_ptr(): s.nbytes() for s in storages}.values())
    if claimed > max(_TIMES * held, _HARMLESS):
        raise CheckpointError(
            f'checkpoint {quote_path(source)} was not loaded, its weights '
            f'claim {claimed:,} bytes and hold {held:,}: above {_HARMLESS:,} '
            f'at most {_TIMES} times as many as are there are accepted')


def _not_finite(weight: Tensor) -> str:
    if not weight.is_floating_point() or not weight.numel():
        return ''
    if weight.element_size() == 1:  # float8 can be converted, but not asked
        weight = weight.float()
    # Both are undefined if any number is. Needs no copy, as isfinite does.
    smallest, largest = weight.aminmax()
    # Zero and minus infinity alone are a mask of attention: no training makes
    # such weights.
    if (smallest.isfinite() and largest.isfinite()) or bool(
        ((weight == 0) | (weight == -torch.inf)).all()):
        return ''
    return ('has infinite or undefined numbers: take an earlier checkpoint, '
            'before the training diverged')
