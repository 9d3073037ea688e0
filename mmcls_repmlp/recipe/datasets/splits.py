"""Parts of a data set: training, validation and test."""
from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

from repmlp_lite.errors import ConfigError, first_few
from repmlp_lite.image_files import FORMATS, files_below, is_hidden

# A word for a part, alone or among others: TRAIN, training_set, seg_train.
_PART = re.compile(
    r'(?<![^\W\d_])(?:(?P<train>train|training|trn)|'
    r'(?P<val>val|valid|validate|validation|dev|eval|evaluation)|'
    r'(?P<test>test|testing|tst))[ _-]?(?:set|data|split|images?)?'
    r'(?![^\W\d_])', re.IGNORECASE)
_THREADS = 8  # which wait for a disk or a network


def held_out(paths: Iterable[str], share: float, backend: Any) -> list[bool]:
    """Decide which images are held out to validate, each by its file alone.

    A hash of the content decides, which costs reading every file once. What
    is added, removed, renamed or moved changes nothing for other images, and
    copies of one image are on the same side. So the share is met on average,
    and a class of few images may be on one side as a whole. A file that is
    empty or cannot be read is hashed by its name.

    Args:
        paths: Paths of the images.
        share: Share that is held out, between 0 and 1.
        backend: What reads a file, of mmengine.
    """
    with ThreadPool(_THREADS) as pool:
        places = pool.imap(lambda path: _place(path, backend), paths, 16)
        return [place < share for place in places]


def _place(path: str, backend: Any) -> float:
    """Return a number from 0 to 1 that the content of a file determines."""
    try:
        content = backend.get(path)
    except Exception:  # it is refused, by name, where it is loaded
        content = b''
    content = content or Path(path).name.encode(errors='surrogateescape')
    digest = blake2b(content, digest_size=8, person=b'val').digest()
    return int.from_bytes(digest, 'big') / 2**64


def find_parts(folder: str | Path) -> dict[str, str]:
    """Find the subfolders for 'train', 'val' and 'test', if any.

    They are known by usual names such as ``Training`` or ``test_set``, and by
    subfolders of their own, one for each class. Raise ConfigError if they
    could be classes as well as parts, or if train is missing or there twice.
    """
    folder = Path(folder)
    names = subfolders(folder)
    matches = {name: _PART.search(name) for name in names}
    classes = {name: subfolders(folder / name) for name in names
               if matches[name]}  # yapf: disable
    others = [name for name in names if name not in classes]
    has_exact_name = any(map(_PART.fullmatch, names))
    if others and not has_exact_name and not any(m and m['train']
                                                 for m in matches.values()):
        return {}  # a test tube beside other classes
    if not any(classes.values()) and (others or not has_exact_name):
        return {}  # a train is also a vehicle
    parts = {str(m.lastgroup): name for name, m in matches.items() if m}
    train = classes.get(parts.get('train', ''), [])
    alike = any({*train} & {*classes[name]} for phase, name in parts.items()
                if phase != 'train')
    unclear = [name for name in others if not alike and _has_image(
        folder / name)]  # yapf: disable
    if classes and ('train' not in parts or len(parts) < len(classes)
                    or unclear):
        inner = sorted({name for found in classes.values() for name in found})
        raise ConfigError(
            f'folder {str(folder)!r} can be read in two ways: its subfolders '
            f'{first_few([*classes])} are parts of the data, with the classes '
            f'{first_few(inner) or "none"} in them; or {first_few(names)} are '
            'the classes. For the first, name the parts train, val and test, '
            'of which train is required, and leave nothing beside them; for '
            'the second, leave no subfolders in a class of such a name')
    return parts


def common_subfolders(folder: str | Path) -> list[str]:
    """Return the names that occur in every subfolder of a folder."""
    common: set[str] | None = None
    for name in subfolders(folder):
        inner = {*subfolders(Path(folder, name))}
        common = inner if common is None else common & inner
        if not common:
            break
    return sorted(common or ())


def subfolders(folder: str | Path) -> Sequence[str]:
    """List the names of the folders in a folder that are not hidden."""
    return sorted(
        path.name for path in Path(folder).iterdir()
        if path.is_dir() and not is_hidden(path.name))


def _has_image(folder: Path) -> bool:
    return any(
        Path(path).suffix.lower() in FORMATS for path in files_below(folder))
