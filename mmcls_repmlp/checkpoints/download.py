"""Fetch checkpoints from the web, each address once."""
from __future__ import annotations

import errno
import hashlib
import re
import shutil
import sys
from http.client import HTTPException
from pathlib import Path
from string import punctuation
from urllib.error import HTTPError
from urllib.parse import quote, unquote, urlparse
from urllib.request import Request, urlopen

import torch
from filelock import FileLock
from rich.console import Console
from rich.progress import wrap_file

from repmlp_lite.errors import CheckpointError, quote_path, shorten
from repmlp_lite.files import atomic_write, sha256_of

WEB = ('http://', 'https://')
# As in 'repmlp-base-1cb1f11b.pth': first digits of the contents' SHA-256, as
# torch.hub and OpenMMLab name their files. A date is none.
_HASHED = re.compile(r'-(?!(?:19|20)\d{6}\.)([0-9a-f]{8,64})\.[^.]*$')
_SECONDS = 60  # without an answer
_DIGITS, _LONGEST = 16, 100
_DISK_FULL = errno.ENOSPC, errno.EDQUOT, errno.EFBIG


def fetch(url: str) -> Path:
    """Fetch a file, or find it among those that were fetched before.

    Files are kept in ``checkpoints`` of torch hub's folder. One whose name
    holds its hash lies there under this name, as other programs keep it, and
    is held against the hash at every use. Any other lies in a folder of its
    own for each address, so that two addresses that end alike stay apart.

    Args:
        url: Address that starts with http:// or https://.

    Returns:
        The whole file.

    Raises:
        CheckpointError: If it cannot be fetched, comes cut off, or has
            another hash than its name says.
    """
    path = cached_path(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Several processes that start together fetch it once.
    with FileLock(f'{path}.lock'):
        if not path.is_file() or not _has_its_hash(path):
            _download(url, path)
    return path


def cached_path(url: str) -> Path:
    """Say where the file of an address is kept, fetched or not."""
    folder = Path(torch.hub.get_dir(), 'checkpoints')
    try:
        path = unquote(urlparse(url).path)
    except ValueError as error:
        raise _not_fetched(url, error) from error
    name = path.rsplit('/', 1)[-1][-_LONGEST:] or 'checkpoint.pth'
    if not _HASHED.search(name):
        folder /= hashlib.sha256(url.encode()).hexdigest()[:_DIGITS]
    return folder / name


def _has_its_hash(path: Path) -> bool:
    expected = _HASHED.search(path.name)
    return expected is None or sha256_of(path).startswith(expected[1])


def _download(url: str, path: Path) -> None:
    with atomic_write(path, force=True) as temporary:
        try:
            _receive(url, temporary)
        except (OSError, ValueError, HTTPException) as error:
            if isinstance(error, HTTPError):
                error.close()  # it is the server's answer too
            if getattr(error, 'errno', None) in _DISK_FULL:
                raise
            raise _not_fetched(url, error, path) from error
        if not _has_its_hash(temporary):
            raise CheckpointError(
                f'checkpoint {quote_path(url)} has another hash than its name '
                'says, it was damaged or replaced on its way: nothing was '
                'kept, try again or take it from elsewhere')


def _not_fetched(url: str,
                 error: Exception,
                 path: Path | None = None) -> CheckpointError:
    where = ''
    if path is not None:
        where = (f', which is looked for as {path.name!r} in '
                 f'{str(path.parent)!r}')
    return CheckpointError(
        f'checkpoint {quote_path(url)} cannot be fetched '
        f'({shorten(str(error), 90)}): check the address, or download the '
        f'file by hand{where}')


def _receive(url: str, path: Path) -> None:
    # Letters that an address may not have, such as umlauts, are encoded.
    request = Request(
        quote(url, safe=punctuation), headers={'User-Agent': 'mmcls_repmlp'})
    with urlopen(
            request, timeout=_SECONDS) as answer, open(path, 'wb') as file:
        length = int(answer.headers.get('Content-Length') or 0)
        console = Console(file=sys.stderr)
        with wrap_file(
                answer, length, description=path.name,
                console=console) as source:
            shutil.copyfileobj(source, file)
    received = path.stat().st_size
    if length and received != length:
        raise OSError(f'cut off after {received:,} of {length:,} bytes')
