"""Find the file that a path, a folder or an address stands for."""
from __future__ import annotations

from pathlib import Path

from mmcls_repmlp.recipe.hooks import numbered_checkpoints
from repmlp_lite.errors import CheckpointError, quote_path

from .download import WEB, fetch


def local_file(source: str | Path) -> Path:
    """Find a checkpoint on this machine, downloading it if it is a URL.

    Args:
        source: A path, or a URL that starts with http:// or https://. The
            work folder of a training stands for its newest checkpoint.

    Returns:
        Path of the file, see :func:`fetch` for downloads.

    Raises:
        CheckpointError: If there is no such file, or it cannot be fetched.
    """
    if str(source).startswith(WEB):
        return fetch(str(source))
    path = Path(newest_checkpoint(source)).expanduser()
    if not path.is_file():
        raise CheckpointError(
            f'checkpoint {quote_path(source)} does not exist: '
            'check the path')
    return path


def newest_checkpoint(source: str | Path) -> str | Path:
    """Let the work folder of a training stand for its newest checkpoint.

    Args:
        source: A path or URL.

    Returns:
        The checkpoint with the highest number in a folder; anything else as
        it is.

    Raises:
        CheckpointError: If it is a folder without any.
    """
    if str(source).startswith(WEB) or not Path(source).expanduser().is_dir():
        return source
    found = numbered_checkpoints(Path(source).expanduser())
    if not found:
        raise CheckpointError(
            f'folder {quote_path(source)} holds no epoch_N.pth or iter_N.pth: '
            'name the checkpoint itself')
    return found[0][1]
