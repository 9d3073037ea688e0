"""Card of an exported file: ``FILE.json`` with its input, output and parts."""
from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from repmlp_lite.errors import JobFailedError, UserError, translate
from repmlp_lite.files import sha256_of

RAW, NORMALISED = 'uint8', 'float32, normalised'
LOGITS, EMBEDDING = 'logits', 'embedding'
_LARGEST = 2**16  # of all numbers in a card
# Suffixes of the files that a format may consist of. Weights come first, so
# that what names them is never without them.
_PARTS = {
    '.onnx': ('.onnx.data', '.onnx'),
    '.xml': ('.bin', '.xml'),
    '.pt2': ('.pt2', )
}
_OPTIONAL = '.onnx.data'
_DIGEST = re.compile(r'[0-9a-f]{64}')
Check = Callable[[Any], bool]  # of an entry that may be anything


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


def metadata_of(card: Mapping[str, Any]) -> dict[str, str]:
    """Choose the entries that exported files carry themselves, as JSON."""
    names = ('classes', 'channels', 'mean', 'std', 'input', 'output')
    return {name: json.dumps(card[name]) for name in names if name in card}


def check_parts(path: str | Path) -> None:
    """Raise UserError if a part of a file is not the one of its card."""
    for suffix, digest in read_card(path)['files'].items():
        part = Path(path).with_suffix(suffix)
        if not part.is_file() or sha256_of(part) != digest:
            raise UserError(f'{str(part)!r} is not what the card '
                            f'{str(card_of(path))!r} was written for: export '
                            'again, or put files of one export together')


def read_card(path: str | Path) -> dict[str, Any]:
    """Read the card of an exported file and check every entry."""
    card_path = card_of(path)
    if not card_path.is_file():
        raise UserError(f'{str(card_path)!r} does not exist: it is written '
                        'beside the exported file and belongs to it')
    with translate(
            JobFailedError, f'{str(card_path)!r} is not the card of an '
            'exported file, so export again', ValueError, RecursionError,
            OSError):
        card = json.loads(card_path.read_text(encoding='utf-8'))
        if not is_a(dict)(card):
            raise ValueError('it has no named entries')
        if card.get('input') == 'uint8 RGB':  # of versions before 0.3
            card.update(input=RAW, channels='RGB')
        for name, is_right in _ENTRIES.items():
            if not is_right(card.get(name)):
                raise ValueError(f'{name} cannot be {card.get(name)!r:.60}')
        parts = {*_PARTS[Path(path).suffix]}
        if not parts - {_OPTIONAL} <= {*card['files']} <= parts:
            raise ValueError(f'files cannot be {card["files"]!r:.60}')
    return card


def is_a(kind: type) -> Check:
    """Make the check for a type."""
    return lambda value: isinstance(value, kind)


def one_of(*values: object) -> Check:
    """Make the check for one of some values."""
    return values.__contains__


def list_of(is_right: Check, *lengths: int) -> Check:
    """Make the check for a list of entries, of one of some lengths or any."""
    return lambda value: isinstance(value, list) and (not lengths or len(
        value) in lengths) and all(map(is_right, value))


def is_side(value: Any) -> bool:
    """Return whether a value is a number of pixels, or of channels."""
    return type(value) is int and 0 < value <= _LARGEST


def is_number(value: Any) -> bool:
    """Return whether a value is a number as small as pixels are."""
    return type(value) in (int, float) and abs(value) <= _LARGEST


def is_factor(value: Any) -> bool:
    """Return whether a value is such a number above zero."""
    return is_number(value) and value > 0


_ENTRIES: Mapping[str, Check] = {
    'input_shape': list_of(is_side, 3),
    'input': one_of(RAW, NORMALISED),
    'mean': list_of(is_number, 1, 3),
    'std': list_of(is_factor, 1, 3),
    'channels': one_of('RGB', 'BGR'),
    'output': one_of(LOGITS, EMBEDDING),
    'classes': list_of(is_a(str)),
    'pipeline': lambda entry: isinstance(entry, str) or list_of(is_a(dict))
    (entry),
    'files': lambda entry: isinstance(entry, dict) and all(
        isinstance(digest, str) and _DIGEST.fullmatch(digest)
        for digest in entry.values()),
}
