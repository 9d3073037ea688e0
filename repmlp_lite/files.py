"""Atomic writing of files, which replaces others only if asked to."""
from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from .errors import UserError, option
from .locks import lock

# Prefix of scratch folders, beside their targets; lock and contents of each.
_SCRATCH, _LOCK, _CONTENTS = '.mmcls_repmlp-', 'lock', 'new'
# Of them, one is removed by another process less than once in a thousand.
_ATTEMPTS = 100


def check_suffix(path: str | Path, suffixes: Sequence[str],
                 content: str) -> None:
    """Raise UserError if a file name ends in none of the suffixes.

    Suffixes are in lower case; ``content`` is a noun for the message.
    """
    if Path(path).suffix.lower() not in suffixes:
        raise UserError(f'{str(path)!r} has the wrong suffix for {content}: '
                        f'end it in {" or ".join(suffixes)}')


def check_writable(path: str | Path,
                   force: bool = False,
                   *sources: str | Path | None) -> None:
    """Raise UserError if a file cannot be written, or would replace another.

    With ``force`` it may replace an existing file, but never one of the
    sources that it is made from; sources that are None or URLs are ignored.
    """
    path = Path(path)
    if path.exists() and any(
            Path(source).exists() and path.samefile(source)
            for source in sources if source is not None):
        raise UserError(f'{str(path)!r} is also the file to read, and '
                        'would be lost: choose another name')
    if path.exists() and not path.is_file():
        kind = 'a folder' if path.is_dir() else 'a device or a pipe'
        raise UserError(f'{str(path)!r} is {kind}: name a file')
    nearest = next(folder for folder in path.absolute().parents
                   if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise UserError(f'{str(path)!r} cannot be written: {str(nearest)!r} '
                        'is not a folder that you may write to')
    if os.path.lexists(path) and not force:
        raise _exists(path)


def _exists(path: Path) -> UserError:
    return UserError(f'{str(path)!r} exists: choose another name, or pass '
                     f'{option("force")} to replace it')


@contextmanager
def atomic_write(path: str | Path, force: bool = False) -> Iterator[Path]:
    """Write a file whole or not at all.

    Even if the process is killed or the disk is full, ``path`` is either the
    old file or the new one. Missing folders are made. Raise errors as
    :func:`check_writable` does.

    Yields:
        A temporary path to write to, on the same disk and of the same name.
        It replaces ``path`` when the block ends without error.
    """
    check_writable(path, force)
    final = Path(path).resolve()
    with scratch_folder(final.parent) as folder:
        yield folder / final.name
        check_writable(path, force)
        move_into_place(folder / final.name, final, force)


@contextmanager
def scratch_folder(parent: str | Path) -> Iterator[Path]:
    """Make a folder to prepare files in, and remove it when the block ends.

    Finished files can be renamed into its parent, which is made if missing.
    Folders left by killed processes are removed too: each is locked as long as
    its process lives.
    """
    parent = Path(parent)
    for leftover in parent.glob(f'{_SCRATCH}*'):
        # Locked by a living process, or owned by another user: it stays.
        with suppress(OSError):
            _remove_leftover(leftover)
    with ExitStack() as held:
        folder = _locked_folder(parent, held)
        try:
            yield folder / _CONTENTS
        finally:
            _remove(folder)


def _locked_folder(parent: Path, held: ExitStack) -> Path:
    attempts = _ATTEMPTS
    while True:
        try:
            parent.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=parent))
            if not held.enter_context(lock(folder / _LOCK)):
                (folder / _LOCK).unlink()  # then nobody can
            (folder / _CONTENTS).mkdir()
            return folder
        except FileNotFoundError:
            # Until it is locked, another process may take it for a leftover.
            attempts -= 1
            if not attempts:
                raise


def _remove_leftover(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()  # its process ended before it was locked
    with lock(folder / _LOCK, patience=0, create=False) as locked:
        if locked:
            _remove(folder)


def _remove(folder: Path) -> None:
    # In this order: what has no lock any more is empty.
    shutil.rmtree(folder / _CONTENTS, ignore_errors=True)
    with suppress(OSError):
        (folder / _LOCK).unlink(missing_ok=True)
        folder.rmdir()


def move_into_place(source: Path, target: Path, force: bool = True) -> None:
    """Move a file out of a :func:`scratch_folder`, durably.

    Without ``force``, raise UserError if the target exists by now.
    """
    with open(source, 'rb+') as file:
        os.fsync(file.fileno())
    try:
        if force:
            os.replace(source, target)
        else:  # a link replaces nothing that another process has just made
            os.link(source, target)
    except FileExistsError:
        raise _exists(target) from None
    except OSError:  # a file system without links
        if force:
            raise
        os.replace(source, target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: str | Path) -> str:
    """Compute the SHA-256 of a file of any size, in 64 hexadecimal digits."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
