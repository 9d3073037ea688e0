"""Take the weights out of what a checkpoint holds, and check them."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
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
_SHOWN = 4


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
        CheckpointError: If there are no weights, or none under ``key``; if
            there are several sets and ``key`` is None; if a weight is of
            another kind.
    """
    sets = dict(_weight_sets(checkpoint))
    weights = _unwrapped(_choose(sets, source, key), source)
    _check_size(weights, source)
    for name, weight in weights.items():
        reason = _unusable(weight)
        if reason:
            raise CheckpointError(
                f'checkpoint {quote_path(source)} cannot be used, its entry '
                f'{shorten(name, 60)!r} {reason}')
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


def _unwrapped(weights: Mapping[str, Tensor],
               source: str | Path) -> dict[str, Tensor]:
    names = {
        name: '.'.join(
            part for part in name.split('.') if part not in _WRAPPERS)
        for name in weights
    }
    while True:
        rest = [name for name in names.values() if name not in _COUNTERS]
        outer = next(
            (prefix for prefix in _OUTER
             if rest and all(name.startswith(prefix) for name in rest)), None)
        if outer is None:
            break
        names = {
            old: name.removeprefix(outer)
            for old, name in names.items() if name not in _COUNTERS
        }
    if len(set(names.values())) < len(names):
        raise CheckpointError(
            f'checkpoint {quote_path(source)} holds the same weights inside and '
            'outside of a wrapper: save the state dict of one model alone')
    return {name: weights[old].detach() for old, name in names.items()}


def _check_size(weights: Mapping[str, Tensor], source: str | Path) -> None:
    claimed = sum(w.numel() * w.element_size() for w in weights.values())
    held = sum({
        storage.data_ptr(): storage.nbytes()
        for storage in map(_storage, weights.values()) if storage is not None
    }.values())
    if claimed > max(_TIMES * held, _HARMLESS):
        raise CheckpointError(
            f'checkpoint {quote_path(source)} was not loaded, its weights claim '
            f'{claimed:,} bytes and hold {held:,}: above {_HARMLESS:,} at '
            f'most {_TIMES} times as many as are there are accepted')


def _storage(weight: Tensor) -> torch.UntypedStorage | None:
    plain = weight.layout == torch.strided and weight.device.type == 'cpu'
    return weight.untyped_storage() if plain else None


def _unusable(weight: Tensor) -> str | None:
    """Say what keeps a tensor from being a weight, and the remedy."""
    if weight.device.type != 'cpu':
        return ('has no numbers, only a shape: save the model when it is not '
                f'on the device {weight.device.type!r}')
    if (weight.layout != torch.strided or weight.is_quantized
            or weight.is_nested or type(weight) not in (Tensor, nn.Parameter)):
        return ('is no plain tensor (sparse, quantized, nested or of a class '
                'of its own): save it as a dense one')
    if weight.is_complex():
        return 'is complex: save real weights'
    if weight.is_floating_point() and not (_is_finite(weight)
                                           or _is_mask(weight)):
        return ('has infinite or undefined numbers: take an earlier '
                'checkpoint, before the training diverged')
    return None


def _is_mask(weight: Tensor) -> bool:
    # Zero and minus infinity alone, as attention is masked: no training makes
    # such weights.
    return bool(((weight == 0) | (weight == -torch.inf)).all())


def _is_finite(weight: Tensor) -> bool:
    if not weight.numel():
        return True
    if weight.element_size() == 1:  # float8 can be converted, but not asked
        weight = weight.float()
    # Both are undefined if any number is. Needs no copy, as isfinite does.
    smallest, largest = weight.aminmax()
    return bool(smallest.isfinite() and largest.isfinite())
