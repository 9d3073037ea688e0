"""Files written whole or not at all, and never over another unasked."""
from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import UserError, option

# Folders in which files are prepared, beside where they will be.
_SCRATCH, _LOCK = '.mmcls_repmlp-', 'lock'
_CHUNK = 2**20  # bytes that are read at a time


def check_suffix(path: str | Path, suffixes: Sequence[str], what: str) -> None:
    """Refuse a file name whose suffix does not go with its contents.

    Args:
        path: The file to be written.
        suffixes: Those that do, in lower case.
        what: What is to be written, for the message.

    Raises:
        UserError: If it has another suffix.
    """
    if Path(path).suffix.lower() not in suffixes:
        raise UserError(f'{str(path)!r} has the wrong suffix for {what}: '
                        f'end it in {" or ".join(suffixes)}')


def check_writable(path: str | Path,
                   force: bool = False,
                   *sources: str | Path | None) -> None:
    """Refuse to overwrite a file unless told to.

    Args:
        path: The file to be written.
        force: Whether an existing file may be replaced. Defaults to False.
        *sources: What it is made from, which it must not replace even so;
            None and addresses on the web are passed over.

    Raises:
        UserError: If the file exists and ``force`` is not set, it is a
            source, the path is a folder, or its folder cannot be written to.
    """
    if Path(path).exists() and any(
            Path(source).exists() and Path(path).samefile(source)
            for source in sources if source is not None):
        raise UserError(f'{str(path)!r} is the very file that is read, and '
                        'could not be got back: name another one')
    if Path(path).is_dir():
        raise UserError(f'{str(path)!r} is a folder: name a file')
    nearest = next(
        folder for folder in Path(path).absolute().parents if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise UserError(f'{str(path)!r} cannot be written: {str(nearest)!r} '
                        'is no folder that you may write to')
    if os.path.lexists(path) and not force:
        raise UserError(f'{str(path)!r} exists: choose another name, or pass '
                        f'{option("force")} to replace it')


@contextmanager
def atomic_write(path: str | Path, force: bool = False) -> Iterator[Path]:
    """Write a file whole or not at all.

    Yields a path on the same disk, of the same name, to write to. When the
    block ends without error, that file is synced and takes the place of
    ``path``, otherwise it is removed; so whatever stops the process or fills
    the disk, ``path`` is the old file or the new one. Missing folders are
    made.

    Args:
        path: The file to write.
        force: Whether an existing file is replaced. Defaults to False.

    Raises:
        UserError: If the file exists and ``force`` is not set.
        OSError: If it cannot be written.
    """
    check_writable(path, force)
    final = Path(path).resolve()
    with scratch_folder(final.parent) as folder:
        yield folder / final.name
        check_writable(path, force)
        move_into_place(folder / final.name, final)


@contextmanager
def scratch_folder(parent: str | Path) -> Iterator[Path]:
    """Make a folder to prepare files in; it goes when the block ends.

    Whatever a killed process left of this kind in ``parent`` goes first:
    every such folder is locked as long as its process lives.

    Args:
        parent: Where to make it, so that what is ready can be renamed into
            place. Made if it is missing.
    """
    parent = Path(parent)
    parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(parent)
    folder = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=parent))
    lock = FileLock(folder / _LOCK)
    try:
        # Some network file systems know no locks; nothing is removed there.
        with suppress(NotImplementedError):
            lock.acquire()
        contents = folder / 'new'
        contents.mkdir()
        yield contents
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def move_into_place(source: Path, target: Path) -> None:
    """Rename a finished file of a scratch folder, surviving a power cut.

    Args:
        source: The file, in a :func:`scratch_folder` of the target's folder.
        target: What it becomes; an existing file is replaced.
    """
    with open(source, 'rb+') as file:
        os.fsync(file.fileno())
    os.replace(source, target)
    if os.name == 'posix':  # elsewhere a folder cannot be opened
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sha256_of(path: str | Path) -> str:
    """Compute the SHA-256 of a file of any size, in 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _remove_leftovers(parent: Path) -> None:
    for folder in parent.glob(f'{_SCRATCH}*'):
        # Locked: its process lives. Not ours to touch: somebody else's.
        with suppress(Timeout, OSError, NotImplementedError), FileLock(
                folder / _LOCK, timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
