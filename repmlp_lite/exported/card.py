"""Card of an exported file: ``FILE.json`` with its input, output and parts.

It is as foreign as the file itself, so that every entry is checked before use.
"""
from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from repmlp_lite.errors import JobFailedError, UserError, translate
from repmlp_lite.files import sha256_of

RAW, NORMALISED = 'uint8 RGB', 'float32, normalised'
LOGITS, EMBEDDING = 'logits', 'embedding'
_LARGEST = 2**26  # bytes; a card names classes and little else
_SIDE = 2**16
# Suffixes of the files that a format may consist of. Weights come first, so
# that what names them is never without them.
_PARTS = {
    '.onnx': ('.onnx.data', '.onnx'),
    '.xml': ('.bin', '.xml'),
    '.pt2': ('.pt2', )
}
_OPTIONAL = '.onnx.data'
_DIGEST = re.compile(r'[0-9a-f]{64}')


def card_of(path: str | Path) -> Path:
    """Name the card of an exported file."""
    return Path(f'{path}.json')


def parts_of(path: str | Path) -> list[Path]:
    """Name the files that an exported file may consist of, weights first."""
    path = Path(path)
    return [path.with_suffix(suffix) for suffix in _PARTS[path.suffix]]


def digests(path: str | Path) -> dict[str, str]:
    """Compute the SHA-256 of each part of a file, by suffix."""
    return {
        suffix: sha256_of(part)
        for suffix, part in zip(_PARTS[Path(path).suffix], parts_of(path))
        if suffix != _OPTIONAL or part.exists()
    }


def check_parts(path: str | Path) -> None:
    """Raise UserError if a part of a file is not the one that its card names.

    An export that was killed while it replaced files leaves such parts.
    """
    path = Path(path)
    for suffix, digest in read_card(path)['files'].items():
        part = path.with_suffix(suffix)
        if not part.is_file() or sha256_of(part) != digest:
            raise UserError(f'{str(part)!r} is not what the card '
                            f'{str(card_of(path))!r} was written for: export '
                            'again, or put files of one export together')


def read_card(path: str | Path) -> dict[str, Any]:
    """Read the card of an exported file and check every entry.

    Raises:
        UserError: If there is no card.
        JobFailedError: If it cannot be read, or an entry is missing or of
            another kind.
    """
    card_path = card_of(path)
    if not card_path.is_file():
        raise UserError(f'{str(card_path)!r} does not exist: it is written '
                        'beside the exported file and belongs to it')
    with translate(
            JobFailedError, f'{str(card_path)!r} is not the card of an '
            'exported file, so export again', ValueError, RecursionError,
            OSError):
        if card_path.stat().st_size > _LARGEST:
            raise ValueError(f'it is larger than {_LARGEST:,} bytes')
        card = json.loads(card_path.read_text(encoding='utf-8'))
        _check(card, Path(path).suffix)
    return card


def _check(card: Any, suffix: str) -> None:
    if not isinstance(card, dict):
        raise ValueError('it has no named entries')
    for name, is_right in _ENTRIES.items():
        if name not in card:
            raise ValueError(f'{name} is missing')
        if not is_right(card[name]):
            raise ValueError(f'{name} cannot be {card[name]!r:.60}')
    needed = {part for part in _PARTS[suffix] if part != _OPTIONAL}
    if not needed <= {*card['files']} <= {*_PARTS[suffix]}:
        raise ValueError(f'files cannot be {card["files"]!r:.60}')


def _one_of(*values: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in values


def _list_of(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(is_right, value))


def is_side(value: Any) -> bool:
    """Return whether a value is a number of pixels, or of channels."""
    return type(value) is int and 0 < value <= _SIDE


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number."""
    return type(value) in (int, float) and abs(value) < 2**63 and (
        math.isfinite(value))


def _is_digests(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(digest, str) and _DIGEST.fullmatch(digest)
        for digest in value.values())


def _per_channel(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: _list_of(is_right)(value) and len(value) in (1, 3)


_ENTRIES: Mapping[str, Callable[[Any], bool]] = {
    'input_shape': lambda v: _list_of(is_side)(v) and len(v) == 3,
    'input': _one_of(RAW, NORMALISED),
    'mean': _per_channel(is_number),
    'std': _per_channel(lambda v: is_number(v) and v > 0),
    'channels': _one_of('RGB', 'BGR'),
    'output': _one_of(LOGITS, EMBEDDING),
    'classes': _list_of(lambda v: isinstance(v, str)),
    'pipeline': lambda v: isinstance(v, str) or _list_of(
        lambda step: isinstance(step, dict))(v),
    'files': _is_digests,
}
