"""Weights out of checkpoints, checked, and into models: all or none."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmcls_repmlp.models.compatibility import explain_mismatch, find_mismatch
from repmlp_lite.errors import CheckpointError, option, quote_path, shorten

Weights = Mapping[str, Tensor]
# Parts of names that wrappers leave: torch.compile, FSDP, gradient
# checkpointing and Lightning's strategies, at any depth.
_WRAPPERS = ('_orig_mod', '_fsdp_wrapped_module', '_checkpoint_wrapped_module',
             '_forward_module')
_COUNTERS = ('n_averaged', 'steps')  # of averaged models


def state_dict_of(checkpoint: Any,
                  source: str | Path,
                  key: str | None = None) -> dict[str, Tensor]:
    """Take the weights out of a checkpoint.

    Args:
        checkpoint: A state dict, or a dict that holds one. Names may carry
            what DDP, FSDP, torch.compile, Lightning and AveragedModel put
            before them, in any nesting.
        source: What an error calls the file.
        key: Where in the dict the weights are, dotted if deeper. Defaults to
            the only set of weights; of the two that mmengine's EMAHook
            writes, to the averaged one.

    Returns:
        Weights by name: each strided, real and finite, on the CPU.

    Raises:
        CheckpointError: If there is no set of weights or several, unless
            ``key`` names one, or if a weight is of another kind.
    """
    try:
        weights = _unwrap(_choose(dict(_weight_sets(checkpoint)), key))
        for name, weight in weights.items():
            _check_kind(name, weight)
        _check_size(weights)
        for name, weight in weights.items():
            _check_finite(name, weight)
    except ValueError as error:
        raise CheckpointError(
            f'checkpoint {quote_path(source)} {error}') from None
    return weights


def check_fit(model: nn.Module, state_dict: Mapping[str, Tensor],
              source: str | Path) -> None:
    """Check that a state dict fills a model exactly; change nothing.

    Raises:
        CheckpointError: If it does not; the message names the first keys.
    """
    mismatch = find_mismatch(model.state_dict(), state_dict)
    if mismatch:
        # The remedy comes first, so that it survives.
        raise CheckpointError(
            shorten(
                f'checkpoint {quote_path(source)} does not fit the model: '
                f'{explain_mismatch(mismatch)} ({mismatch})', 300))


def load_strictly(model: nn.Module, state_dict: Mapping[str, Tensor],
                  source: str | Path) -> None:
    """Fill a model, in place, with exactly these weights, or not at all.

    Raises:
        CheckpointError: If they do not fit, see :func:`check_fit`.
    """
    check_fit(model, state_dict, source)
    model.load_state_dict(state_dict, strict=False)


def keep_dtype(model: nn.Module, state_dict: Mapping[str, Tensor]) -> None:
    """Give a model the floating dtype of weights, if they have but one."""
    dtypes = {
        value.dtype
        for value in state_dict.values() if value.is_floating_point()
    }
    if len(dtypes) == 1:
        model.to(dtype=dtypes.pop())


def _weight_sets(content: Any,
                 depth: int = 2) -> Iterator[tuple[str, Weights]]:
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


def _choose(sets: Mapping[str, Weights], key: str | None) -> Weights:
    names = shorten(', '.join(repr(name) for name in sets if name), 90)
    if key is not None and key not in sets:
        remedy = f'choose from {names}' if names else 'leave the key out'
        raise ValueError(f'holds no state dict under {key!r}: {remedy}')
    if not sets:
        raise ValueError('holds no state dict: expected tensors by name, '
                         "alone or under a key such as 'state_dict'")
    # As mmengine's EMAHook writes them.
    if key is None and set(sets) == {'state_dict', 'ema_state_dict'}:
        key = 'state_dict'
        print_log(
            "taking the weights 'state_dict', which mmengine averaged; "
            "'ema_state_dict' holds them as they were trained", 'current')
    if key is None and len(sets) > 1:
        raise ValueError(
            f'holds several sets of weights: choose one with '
            f'{option("key", ...)}, out of {names} (publish_model.py --key '
            'makes a file of one alone, to train from)')
    return next(iter(sets.values())) if key is None else sets[key]


def _unwrap(weights: Weights) -> dict[str, Tensor]:
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
        raise ValueError('holds the same weights inside and outside of a '
                         'wrapper: save the state dict of one model alone')
    return {name: weights[old].detach() for old, name in names.items()}


def _outer_prefix(names: Iterable[str]) -> str:
    heads = {
        name[:name.find('.') + 1]
        for name in names if name not in _COUNTERS
    }
    return heads.pop() if heads in ({'module.'}, {'model.'}) else ''


def _check_kind(name: str, weight: Tensor) -> None:
    fault = ''
    if weight.device.type != 'cpu':
        fault = ('has no numbers, only a shape: save the model when it is '
                 f'not on the device {weight.device.type!r}')
    elif (weight.layout != torch.strided or weight.is_quantized
          or weight.is_nested or 'float4' in str(weight.dtype)
          or type(weight) not in (Tensor, nn.Parameter)):
        fault = ('is no plain tensor (sparse, quantized, nested or of a '
                 'class of its own): save it as a dense one')
    elif weight.is_complex():
        fault = 'is complex: save real weights'
    if fault:
        raise _unusable(name, fault)


def _check_size(weights: Weights) -> None:
    claimed = sum(weight.nbytes for weight in weights.values())
    storages = [weight.untyped_storage() for weight in weights.values()]
    held = sum({s.data_ptr(): s.nbytes() for s in storages}.values())
    # Weights may share memory, but a small file must not fill the machine's.
    if claimed > max(16 * held, 2**30):
        raise ValueError(
            f'was not loaded, its weights claim {claimed:,} bytes and hold '
            f'{held:,}: above {2**30:,} at most 16 times as many as are there '
            'are accepted')


def _check_finite(name: str, weight: Tensor) -> None:
    if not weight.is_floating_point() or not weight.numel():
        return
    if weight.element_size() == 1:  # float8 can be converted, but not asked
        weight = weight.float()
    # Both are undefined if any number is. Needs no copy, as isfinite does.
    bounds = torch.stack(weight.aminmax())
    # Zero and minus infinity alone are a mask of attention: no training run
    # makes such weights.
    if not bounds.isfinite().all() and not ((weight == 0) |
                                            (weight == -torch.inf)).all():
        raise _unusable(
            name, 'has infinite or undefined numbers: take an earlier '
            'checkpoint, before the training run diverged')


def _unusable(name: str, fault: str) -> ValueError:
    return ValueError(
        f'cannot be used, its entry {shorten(name, 60)!r} {fault}')
