"""Download of checkpoints, each address once."""
from __future__ import annotations

import hashlib
import re
from http.client import HTTPException
from pathlib import Path
from string import punctuation
from urllib.error import URLError
from urllib.parse import quote, unquote, urlsplit

import torch

from repmlp_lite.errors import CheckpointError, quote_path, shorten
from repmlp_lite.files import sha256_of
from repmlp_lite.locks import lock

WEB = ('http://', 'https://')
# As in 'repmlp-base-1cb1f11b.pth': first digits of the contents' SHA-256, as
# torch.hub and OpenMMLab name their files. A date is not a hash.
_HASHED = re.compile(r'-(?!(?:19|20)\d{6}\.)([0-9a-f]{8,64})\.[^.]*$')


def fetch(url: str) -> Path:
    """Download a file, or find it in the cache of earlier downloads.

    A file with its hash in its name lies in torch hub's ``checkpoints``, where
    other programs find it, and is verified at every use; any other lies in its
    own folder there. A file is not kept if it does not match its hash.
    """
    path = cached_path(url)
    digits = _hash_in(path.name)
    try:
        # Splitting it raises ValueError if it is malformed.
        address = urlsplit(quote(url, safe=punctuation)).geturl()
        path.parent.mkdir(parents=True, exist_ok=True)
        # Several processes that start together download it once.
        with lock(f'{path}.lock'):
            if not path.is_file() or (digits and
                                      not sha256_of(path).startswith(digits)):
                torch.hub.download_url_to_file(address, str(path), digits)
    # torch raises RuntimeError if the hash differs.
    except (URLError, HTTPException, ConnectionError, TimeoutError, ValueError,
            RuntimeError) as error:
        raise CheckpointError(
            f'checkpoint {quote_path(url)} cannot be downloaded '
            f'({shorten(str(error), 90)}): check the address, or download it '
            f'by hand to {str(path)!r}') from error
    return path


def cached_path(url: str) -> Path:
    """Return the cache path of an address, downloaded or not."""
    folder = Path(torch.hub.get_dir(), 'checkpoints')
    name = unquote(re.split('[?#]', url)[0]).rsplit('/', 1)[-1].lstrip('.')
    name = name[-100:] or 'checkpoint.pth'
    if not _hash_in(name):
        folder /= hashlib.sha256(url.encode()).hexdigest()[:16]
    return folder / name


def forget(url: str) -> None:
    """Remove a damaged download, unless it was verified by its hash."""
    path = cached_path(url)
    if not _hash_in(path.name):
        path.unlink(missing_ok=True)


def _hash_in(name: str) -> str:
    match = _HASHED.search(name)
    return match[1] if match else ''
