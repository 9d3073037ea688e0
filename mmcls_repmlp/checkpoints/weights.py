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

from .meta import meta_of

Weights = Mapping[str, Tensor]
# Parts of names that wrappers leave: torch.compile, FSDP, gradient
# checkpointing and Lightning's strategies, at any depth.
_WRAPPERS = ('_orig_mod', '_fsdp_wrapped_module', '_checkpoint_wrapped_module',
             '_forward_module')
_COUNTERS = ('n_averaged', 'steps')  # of averaged models
_DIVERGED = ('has infinite or undefined numbers: take an earlier checkpoint, '
             'before the training run diverged')


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
        sets = dict(_weight_sets(checkpoint))
        if key is None and _is_averaged(checkpoint, sets):
            key = 'state_dict'
            print_log(
                "taking the weights 'state_dict', which mmengine averaged; "
                "'ema_state_dict' holds them as they were trained", 'current')
        weights = _unwrap(_choose(sets, key))
        for name, weight in weights.items():
            _check_numbers(name, weight)
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
    for name, _ in model.named_parameters():
        weight = state_dict[name]  # and so no mask
        if not weight.is_meta and not weight.isfinite().all():
            raise CheckpointError(f'checkpoint {quote_path(source)} '
                                  f'{_unusable(name, _DIVERGED)}')


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
                 depth: int = 4) -> Iterator[tuple[str, Weights]]:
    if not isinstance(content, dict):
        return
    if _is_weights(content):
        yield '', content
    elif depth:
        for name, value in content.items():
            if isinstance(name, str) and not name.startswith(
                ('optim', 'message_hub')):
                for inner, weights in _weight_sets(value, depth - 1):
                    yield f'{name}.{inner}'.removesuffix('.'), weights


def _is_weights(content: Mapping) -> bool:
    """Return whether a dict holds weights, maybe with a number or two.

    States of random number generators are tensors too, but of integers.
    """
    tensors = [x for x in content.values() if isinstance(x, Tensor)]
    return (all(
        isinstance(name, str) and isinstance(value, (Tensor, int, float))
        for name, value in content.items()) and len(tensors) > len(content) / 2
            and any(value.is_floating_point() or value.is_complex()
                    for value in tensors))


def _is_averaged(content: Any, sets: Mapping[str, Weights]) -> bool:
    """Return whether mmengine's EMAHook wrote two sets of weights.

    It swaps them: the averaged model, whose names it keeps, is elsewhere.
    """
    return (sets.keys() == {'state_dict', 'ema_state_dict'}
            and 'mmengine_version' in meta_of(content)
            and sets['ema_state_dict'].keys()
            == {'steps', *(f'module.{name}' for name in sets['state_dict'])})


def _choose(sets: Mapping[str, Weights], key: str | None) -> Weights:
    names = shorten(', '.join(repr(name) for name in sets if name), 90)
    if key is not None and key not in sets:
        remedy = f'choose from {names}' if names else 'leave the key out'
        raise ValueError(f'holds no state dict under {key!r}: {remedy}')
    if not sets:
        raise ValueError('holds no state dict: expected tensors by name, '
                         "alone or under a key such as 'state_dict'")
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
        for name, value in weights.items() if isinstance(value, Tensor)
    }
    while prefix := _outer_prefix(names.values()):
        names = {
            old: name.removeprefix(prefix)
            for old, name in names.items() if name not in _COUNTERS
        }
    if len(set(names.values())) < len(names):
        raise ValueError('holds the same weights inside and outside of a '
                         'wrapper: save the state dict of one model alone')
    return {name: weights[old] for old, name in names.items()}


def _outer_prefix(names: Iterable[str]) -> str:
    heads = {
        name[:name.find('.') + 1]
        for name in names if name not in _COUNTERS
    }
    return heads.pop() if heads in ({'module.'}, {'model.'}) else ''


def _check_numbers(name: str, weight: Tensor) -> None:
    if weight.is_complex():
        raise _unusable(name, 'is complex: save real weights')
    if not weight.is_floating_point() or not weight.numel():
        return
    if weight.element_size() == 1:  # float8 can be converted, but not asked
        weight = weight.float()
    # Both are undefined if any number is. Needs no copy, as isfinite does.
    least, most = weight.aminmax()
    # Zero and minus infinity alone are a mask of attention, see check_fit.
    is_mask = name.rsplit('.', 1)[-1] not in ('weight', 'bias') and bool(
        ((weight == 0) | (weight == -torch.inf)).all())
    if not ((least.isfinite() and most.isfinite()) or is_mask):
        raise _unusable(name, _DIVERGED)
    if name.endswith('running_var') and least < 0:  # its root is undefined
        raise _unusable(name, 'has negative variances: fetch it again')


def _unusable(name: str, fault: str) -> ValueError:
    return ValueError(
        f'cannot be used, its entry {shorten(name, 60)!r} {fault}')
