"""Writing of checkpoint files, whole or not at all."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from repmlp_lite.files import atomic_write

from .meta import meta_of
from .safetensors_file import SAFETENSORS, write_safetensors

CHECKPOINT_SUFFIXES = ('.pth', '.pt', SAFETENSORS)


def write_checkpoint(checkpoint: Mapping[str, Any],
                     path: str | Path,
                     force: bool = False) -> None:
    """Write a checkpoint atomically, by the suffix of its name.

    Args:
        checkpoint: Tensors and plain containers. Of these, a safetensors file
            holds 'state_dict', or else all, and 'meta'.
        path: The file to write.
        force: Whether an existing file is replaced. Defaults to False.

    Raises:
        UserError: If the file exists and ``force`` is not set.
        OSError: If it cannot be written.
    """
    with atomic_write(path, force) as temporary:
        if temporary.suffix.lower() == SAFETENSORS:
            weights = checkpoint.get('state_dict', checkpoint)
            write_safetensors(weights, meta_of(checkpoint), temporary)
        else:
            torch.save(checkpoint, temporary)
