"""Write checkpoint files, whole or not at all."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from repmlp_lite.files import atomic_write

CHECKPOINT_SUFFIXES = ('.pth', '.pt')


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
        OSError: If it cannot be written.
    """
    with atomic_write(path, force) as temporary:
        torch.save(checkpoint, temporary)
