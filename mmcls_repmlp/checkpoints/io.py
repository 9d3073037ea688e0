"""Read and write checkpoint files: safely, strictly, atomically."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from mmcls_repmlp.errors import CheckpointError
from mmcls_repmlp.files import atomic_write
from mmcls_repmlp.models.compatibility import explain_mismatch, find_mismatch

_ENVELOPES = ('state_dict', 'model', 'ema')
_WRAPPER_PREFIX = 'module.'
CHECKPOINT_SUFFIXES = ('.pth', '.pt')


def local_file(source: str | Path) -> Path:
    """Find a checkpoint on this machine, downloading it if it is a URL.

    Args:
        source: A path, or a URL that starts with http:// or https://.

    Returns:
        Path of the file; downloads are kept in torch hub's cache.

    Raises:
        CheckpointError: If there is no such file, or it cannot be fetched.
    """
    if str(source).startswith(('http://', 'https://')):
        return _download(str(source))
    path = Path(source)
    if not path.is_file():
        raise CheckpointError(f'checkpoint {str(source)!r} does not exist: '
                              'check the path')
    return path


def _download(url: str) -> Path:
    path = Path(torch.hub.get_dir(), 'checkpoints', url.rsplit('/', 1)[-1])
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path))
        except OSError as error:
            raise CheckpointError(f'checkpoint {url!r} cannot be fetched '
                                  f'({error}): check the address, or '
                                  'download it by hand') from error
    return path


def read_checkpoint(source: str | Path) -> Any:
    """Read a checkpoint to the CPU without running any code from it.

    Args:
        source: A path or URL, see :func:`local_file`.

    Returns:
        What the file holds.

    Raises:
        CheckpointError: If there is no such file, it is damaged, or it holds
            objects that only running code from it could restore.
    """
    path = local_file(source)
    try:
        return torch.load(path, map_location='cpu', weights_only=True)
    except UnpicklingError as error:
        raise CheckpointError(
            f'checkpoint {str(source)!r} was not loaded, because it is no '
            'checkpoint or holds more than tensors and numbers, which could '
            'run code: where you trust it, open it with torch.load(FILE, '
            "weights_only=False) and save its weights alone, such as its "
            "entry 'model', with torch.save "
            f'({_first_line(error, "Unsupported")})') from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise CheckpointError(
            f'checkpoint {str(source)!r} cannot be read, it may be damaged '
            f'or incomplete: fetch or write it again ({_first_line(error)})'
        ) from error


def _first_line(error: Exception, marker: str = '') -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    line = next((line for line in lines if marker in line), lines[0])
    return line.split('. ')[0].strip()


def state_dict_of(checkpoint: Any,
                  source: str | Path,
                  key: str | None = None) -> dict[str, Tensor]:
    """Take the weights out of a checkpoint.

    Args:
        checkpoint: A state dict, or a dict that holds one under 'state_dict'
            (mmengine), 'model' or 'ema'; names may start with 'module.'.
        source: What an error calls the file.
        key: Where in the dict the weights are. Defaults to the first of
            these three that is there.

    Returns:
        Weights by name.

    Raises:
        CheckpointError: If there is no state dict in it, or under ``key``.
    """
    weights = checkpoint
    keys = _ENVELOPES if key is None else (key, )
    if isinstance(checkpoint, Mapping):
        weights = next((checkpoint[name] for name in keys
                        if isinstance(checkpoint.get(name), Mapping)),
                       checkpoint if key is None else None)
    if not isinstance(weights, Mapping) or not weights or not all(
            isinstance(key, str) and isinstance(value, Tensor)
            for key, value in weights.items()):
        raise CheckpointError(f'checkpoint {str(source)!r} holds no state '
                              'dict: expected tensors by name, '
                              f'{"" if key else "alone or "}under one of the '
                              f'keys {keys}')
    if all(key.startswith(_WRAPPER_PREFIX) for key in weights):
        weights = {key.removeprefix(_WRAPPER_PREFIX): value
                   for key, value in weights.items()}
    return dict(weights)


def check_fit(model: nn.Module, state_dict: Mapping[str, Tensor],
              source: str | Path) -> None:
    """Make sure that a state dict fills a model exactly; change nothing.

    Raises:
        CheckpointError: If it does not; the message says what it looks like
            and names the first missing, unexpected and mis-shaped keys.
    """
    mismatch = find_mismatch(model.state_dict(), state_dict)
    if mismatch:
        raise CheckpointError(
            f'checkpoint {str(source)!r} does not fit the model: '
            f'{explain_mismatch(mismatch)} ({mismatch})')


def load_strictly(model: nn.Module, state_dict: Mapping[str, Tensor],
                  source: str | Path) -> None:
    """Fill a model, in place, with exactly these weights, or not at all.

    Args:
        model: The model to fill.
        state_dict: Its weights by name.
        source: What an error calls the file.

    Raises:
        CheckpointError: If they do not fit, see :func:`check_fit`.
    """
    check_fit(model, state_dict, source)
    model.load_state_dict(state_dict, strict=False)


def write_checkpoint(checkpoint: Mapping[str, Any],
                     path: str | Path,
                     force: bool = False) -> None:
    """Write a checkpoint atomically.

    Args:
        checkpoint: Tensors and plain containers.
        path: The file to write.
        force: Whether an existing file is replaced. Defaults to False.

    Raises:
        UserError: If the file exists and ``force`` is not set.
    """
    with atomic_write(path, force) as temporary:
        torch.save(checkpoint, temporary)
