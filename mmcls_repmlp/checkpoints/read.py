"""Safe reading of checkpoint files: no code of theirs runs."""
from __future__ import annotations

import re
import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from repmlp_lite.errors import CheckpointError, quote_path, shorten

from .download import WEB, forget
from .local_file import local_file
from .safe_globals import only_what_mmengine_writes
from .safetensors_file import SAFETENSORS, read_safetensors
from .verify_bytes import verify_checksums

# How torch names what it would have to call to restore a file.
_FOREIGN = re.compile(r'GLOBAL [\w.]+|class [\w.]+|use of getattr')
_CONFIGS = ('.py', '.json', '.yaml', '.yml')


def read_checkpoint(source: str | Path) -> Any:
    """Read a checkpoint to the CPU without running any code from it.

    Args:
        source: A path or URL, see :func:`local_file`.

    Returns:
        What the file holds; of a safetensors file 'state_dict' and 'meta'.

    Raises:
        CheckpointError: If there is no such file, it is damaged, or it holds
            objects that only running code from it could restore. No other
            error, whatever the file is.
    """
    path = local_file(source)
    try:
        if path.suffix.lower() == SAFETENSORS:
            return read_safetensors(path)
        verify_checksums(path)
        with only_what_mmengine_writes(), warnings.catch_warnings():
            # Of what a strange file holds; what follows is checked.
            warnings.simplefilter('ignore')
            return torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # torch raises any kind for a damaged file
        if str(source).startswith(WEB):
            forget(str(source))
        if isinstance(error, CheckpointError):
            raise
        raise _explained(error, source) from error


def _explained(error: Exception, source: str | Path) -> CheckpointError:
    name = f'checkpoint {quote_path(source)}'
    if isinstance(error, MemoryError):
        return CheckpointError(
            f'{name} does not fit into the memory: close other programs, or '
            'fetch it again if it is damaged')
    foreign = isinstance(error, UnpicklingError) and _FOREIGN.search(
        str(error))
    if foreign:
        return CheckpointError(
            f'{name} was not loaded, because it holds more than weights, '
            'which could run code: if you trust it, open it with '
            'weights_only=False and save its weights alone, such as its entry '
            f"'model' ({shorten(foreign[0], 40)})")
    if Path(source).suffix in _CONFIGS:
        return CheckpointError(f'{quote_path(source)} is a config and no '
                               'checkpoint: name a .pth file')
    lines = str(error).splitlines() or [type(error).__name__]
    reason = next((line for line in lines if 'Unsupported' in line), lines[0])
    return CheckpointError(
        f'{name} cannot be read, it is none, damaged or incomplete: fetch or '
        f'write it again ({shorten(reason, 90)})')
