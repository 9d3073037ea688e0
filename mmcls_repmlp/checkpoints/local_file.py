"""Checkpoint files that a path, a folder or an address stands for."""
from __future__ import annotations

import os
import re
from pathlib import Path

from repmlp_lite.errors import CheckpointError, quote_path, translate

from .download import WEB, fetch


def local_file(source: str | Path) -> Path:
    """Find a checkpoint on this machine, downloading it if it is a URL.

    A folder stands for a file in it, see :func:`newest_checkpoint`.

    Raises:
        CheckpointError: If there is no such file, or it cannot be downloaded.
    """
    if str(source).startswith(WEB):
        return fetch(str(source))
    path = Path(os.path.expanduser(newest_checkpoint(source)))
    if not path.is_file():
        raise CheckpointError(
            f'checkpoint {quote_path(source)} does not exist: check the path')
    return path


def newest_checkpoint(source: str | Path) -> str | Path:
    """Let the work folder of a training run stand for its newest checkpoint.

    Returns:
        The checkpoint with the highest number in a folder; anything else,
        such as a URL, as it is.

    Raises:
        CheckpointError: If it is a folder without any.
    """
    folder = Path(os.path.expanduser(source))
    with translate(CheckpointError,
                   f'checkpoint {quote_path(source)} cannot be looked for',
                   OSError, ValueError):
        if str(source).startswith(WEB) or not folder.is_dir():
            return source
    found = numbered_checkpoints(folder)
    if (folder / 'saved_model.pb').exists():
        raise CheckpointError(f'folder {quote_path(source)} is a model of '
                              'TensorFlow, not of PyTorch')
    if not found:
        raise CheckpointError(
            f'folder {quote_path(source)} holds no epoch_N.pth or iter_N.pth: '
            'name the checkpoint itself')
    return found[0][1]


def numbered_checkpoints(
        folder: str | Path,
        template: str | None = None) -> list[tuple[int, Path]]:
    """List the checkpoints of a folder that training can resume from.

    Args:
        folder: The folder; it need not exist.
        template: Their names, with ``{}`` for the number. Defaults to those
            of mmengine.

    Returns:
        Number and path of each, the highest number first. Files under
        mmengine's names come after all those under ``template``.
    """
    found = []
    names = ('epoch_{}.pth', 'iter_{}.pth')  # mmengine's, by kind of loop
    for name in dict.fromkeys((template or names[0], *names)):
        pattern = re.escape(name).replace(r'\{\}', '([0-9]+)')
        found += sorted((
            (int(match[1]), path) for path in Path(folder).glob('*')
            if (match := re.fullmatch(pattern, path.name)) and path.is_file()),
                        reverse=True)
    return found


def checkpoint_folder(work_dir: str, out_dir: str | Path | None) -> Path:
    """Name the folder that a CheckpointHook with this ``out_dir`` writes to.

    mmengine appends the name of the work dir to another ``out_dir``.
    """
    if out_dir is None or str(out_dir) == work_dir:
        return Path(work_dir)
    return Path(out_dir, os.path.basename(work_dir.rstrip(os.sep)))
