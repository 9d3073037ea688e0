"""Read checkpoint files safely: no code of theirs runs."""
from __future__ import annotations

import re
import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import ZipFile

import torch

from repmlp_lite.errors import CheckpointError, quote_path, shorten

from .local_file import local_file
from .safe_globals import only_what_mmengine_writes

_ZIP = b'PK\x03\x04'
# How torch names what it would have to call to restore a file.
_FOREIGN = re.compile(r'GLOBAL [\w.]+|class [\w.]+|use of getattr')
_CONFIGS = ('.py', '.json', '.yaml', '.yml')


def read_checkpoint(source: str | Path) -> Any:
    """Read a checkpoint to the CPU without running any code from it.

    Args:
        source: A path or URL, see :func:`local_file`.

    Returns:
        What the file holds.

    Raises:
        CheckpointError: If there is no such file, it is damaged, or it holds
            objects that only running code from it could restore. No other
            error, whatever the file is.
    """
    path = local_file(source)
    try:
        _check_archive(path)
        with only_what_mmengine_writes(), warnings.catch_warnings():
            # Of what a strange file holds; what follows is checked.
            warnings.simplefilter('ignore')
            return torch.load(path, map_location='cpu', weights_only=True)
    except CheckpointError:
        raise
    except MemoryError as error:
        raise CheckpointError(
            f'checkpoint {quote_path(source)} does not fit into the memory: close '
            'other programs, or fetch it again if it is damaged') from error
    except Exception as error:  # torch raises any kind for a damaged file
        raise _explained(error, source) from error


def _check_archive(path: Path) -> None:
    """Verify the checksums of an archive that ``torch.save`` made.

    torch itself reads a tensor with a flipped bit without complaint. And as
    it never compresses, an archive that claims to hold more bytes than its
    file has would only fill the memory. Files of other formats, such as a
    plain pickle of torch before 1.6, have no checksums.
    """
    with open(path, 'rb') as file:
        if file.read(len(_ZIP)) != _ZIP:
            return
    with ZipFile(path) as archive:
        claimed = sum(entry.file_size for entry in archive.infolist())
        if claimed > path.stat().st_size:
            raise CheckpointError(
                f'checkpoint {quote_path(path)} was not loaded, because its '
                f'{path.stat().st_size:,} bytes claim to hold {claimed:,}: '
                'write it by torch.save, which does not compress')
        damaged = archive.testzip()
    if damaged is not None:
        raise CheckpointError(
            f'checkpoint {quote_path(path)} is damaged, the checksum of '
            f'{shorten(damaged, 60)!r} in it is wrong: fetch or write it '
            'again')


def _explained(error: Exception, source: str | Path) -> CheckpointError:
    foreign = isinstance(error, UnpicklingError) and _FOREIGN.search(
        str(error))
    if foreign:
        return CheckpointError(
            f'checkpoint {quote_path(source)} was not loaded, because it holds '
            'more than weights, which could run code: if you trust it, open '
            'it with weights_only=False and save its weights alone, such as '
            f"its entry 'model' ({shorten(foreign[0], 40)})")
    if Path(source).suffix in _CONFIGS:
        return CheckpointError(f'{quote_path(source)} is a config and no '
                               'checkpoint: name a .pth file')
    lines = str(error).splitlines() or [type(error).__name__]
    reason = next((line for line in lines if 'Unsupported' in line), lines[0])
    return CheckpointError(
        f'checkpoint {quote_path(source)} cannot be read, it is none, damaged or '
        f'incomplete: fetch or write it again ({shorten(reason, 90)})')
