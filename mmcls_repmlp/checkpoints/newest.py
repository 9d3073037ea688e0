"""The newest checkpoint of a training, by the name of its folder."""
from __future__ import annotations

from pathlib import Path

from mmcls_repmlp.errors import CheckpointError, shown
from mmcls_repmlp.training.hooks import numbered_checkpoints

from .download import WEB


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
            f'folder {shown(source)} holds no epoch_N.pth or iter_N.pth: '
            'name the checkpoint itself')
    return found[0][1]
