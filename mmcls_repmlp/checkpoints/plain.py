"""What a checkpoint file gave, copied into plain values.

Weights-only unpickling runs no code, and yet its tensors, dicts and buffers
may carry any attributes: a tensor's own ``detach``, a dict's own ``items``.
Here methods are called by their classes alone, so that nobody who reads the
copy needs to care.
"""
from __future__ import annotations

from collections import Counter, OrderedDict
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor, nn

from repmlp_lite.errors import CheckpointError, quote_path, shorten

from .safe_globals import NumberArray, SavedHistory

# More than any training run writes: a list may hold itself, or another one
# many times over, and an integer have a million digits.
_DEEPEST, _MOST, _LONGEST = 32, 2**21, 256
_SINGLE = (bool, int, float, str, bytes, type(None))
# The attributes of a HistoryBuffer, by the arguments that make one.
_HISTORY = dict(
    log_history='_log_history',
    count_history='_count_history',
    max_length='max_length')


def to_plain(content: Any, source: object) -> Any:
    """Copy what unpickling gave; tensors keep sharing their memory.

    Args:
        content: Anything.
        source: What an error calls the file.

    Returns:
        Dicts, lists, tuples, strings, bytes, numbers, None, and dense tensors
        on the CPU. Arrays are tensors too, and a HistoryBuffer is the dict
        that :func:`restore_histories` takes.

    Raises:
        CheckpointError: If something else is in it, or small parts stand for
            a huge whole.
    """
    try:
        copier = _Copier()
        plain = copier.copy(content, ())
        copier.check_size()
    except ValueError as error:
        raise CheckpointError(
            f'checkpoint {quote_path(source)} {error}') from None
    return plain


def restore_histories(message_hub: Any) -> Any:
    """Make HistoryBuffers of a message hub's scalars, as mmengine needs."""
    scalars = message_hub.get('log_scalars') if isinstance(message_hub,
                                                           dict) else None
    if not isinstance(scalars, dict):
        return message_hub
    return {
        **message_hub, 'log_scalars': {
            name: _history(value)
            for name, value in scalars.items()
        }
    }


def _history(value: Any) -> Any:
    # What is no history stays as it is, and mmengine leaves it out.
    with suppress(AttributeError, TypeError, ValueError, AssertionError):
        if value.keys() == _HISTORY.keys():
            *logs, length = value.values()
            return HistoryBuffer(*(log.numpy() for log in logs), length)
    return value


class _Copier:

    def __init__(self) -> None:
        self.entries = self.claimed = 0
        self.held: dict[int, int] = {}  # bytes of a storage by its address

    def copy(self, value: Any, place: tuple[Any, ...]) -> Any:
        """Copy a value that stands at a place, by the names on the way."""
        self.entries += 1
        if len(place) > _DEEPEST or self.entries > _MOST:
            raise ValueError(
                f'cannot be used, its entry {_name(place[:3])} is nested too '
                'deep or holds too much: save the weights alone')
        kind = type(value)
        if kind in _SINGLE and not (kind is int
                                    and value.bit_length() > _LONGEST):
            return value
        if kind in (Tensor, nn.Parameter):
            return self._tensor(value, place)
        if kind in (NumberArray, np.ndarray):
            array = np.ndarray.view(value, np.ndarray)
            native = array.astype(array.dtype.newbyteorder('='))
            return self._tensor(torch.from_numpy(native), place)
        if kind in (torch.device, torch.dtype):
            return str(value)
        return self._container(kind, value, place)

    def _container(self, kind: type, value: Any, place: tuple[Any,
                                                              ...]) -> Any:
        if kind in (HistoryBuffer, SavedHistory):
            own = vars(value)
            value = {name: own.get(key) for name, key in _HISTORY.items()}
            kind = dict
        if kind in (list, set, tuple, torch.Size):
            items = [self.copy(x, (*place, i)) for i, x in enumerate(value)]
            return items if kind in (list, set) else tuple(items)
        if kind not in (dict, OrderedDict, Counter):
            raise _unusable(
                place, f'is of the type {shorten(kind.__name__, 40)!r}, and '
                'only dicts, lists, texts, numbers and tensors are read: '
                'leave it out')
        # A key is no container: it could not be a part of a name.
        if not all(type(key) in _SINGLE for key in dict.keys(value)):
            raise _unusable(place, 'has keys that are no texts or numbers')
        return {
            self.copy(key, place): self.copy(x, (*place, key))
            for key, x in dict.items(value)
        }

    def _tensor(self, value: Tensor, place: tuple[Any, ...]) -> Tensor:
        if value.device.type == 'meta':
            raise _unusable(
                place, 'has no numbers, only a shape: save the model when it '
                "is not on the device 'meta'")
        if (value.layout != torch.strided or value.is_quantized
                or value.is_nested or 'float4' in str(value.dtype)):
            raise _unusable(
                place, 'is no plain tensor (sparse, quantized or nested): '
                'save it as a dense one')
        plain = Tensor.detach(value).cpu().resolve_conj().resolve_neg()
        storage = plain.untyped_storage()
        self.held[storage.data_ptr()] = storage.nbytes()
        self.claimed += plain.nbytes
        return plain

    def check_size(self) -> None:
        """Raise ValueError if a small file would fill the machine's memory."""
        held = sum(self.held.values())
        if self.claimed > max(16 * held, 2**30):
            raise ValueError(
                f'was not loaded, its tensors claim {self.claimed:,} bytes '
                f'and hold {held:,}: above {2**30:,} at most 16 times as many '
                'as are there are accepted')


def _name(place: tuple[Any, ...]) -> str:
    return repr(shorten('.'.join(map(str, place)), 60))


def _unusable(place: tuple[Any, ...], fault: str) -> ValueError:
    return ValueError(f'cannot be used, its entry {_name(place)} {fault}')
