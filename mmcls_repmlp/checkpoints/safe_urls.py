"""Let mmengine read checkpoints from the web as safely as local ones.

mmengine 0.10 unpickles a downloaded file without restriction, so that a
``Pretrained`` or ``load_from`` with a URL would run code from it.
"""
from __future__ import annotations

from typing import Any

from mmengine.runner import CheckpointLoader

from .io import read_checkpoint


def load_url_safely(filename: str, map_location: Any = None) -> Any:
    """Fetch a checkpoint and read it to the CPU, weights only.

    Args:
        filename: URL that starts with http:// or https://.
        map_location: Not used; what is loaded into a model goes to its
            device. Defaults to None.

    Raises:
        CheckpointError: If it cannot be fetched or read safely.
    """
    return read_checkpoint(filename)


def make_urls_safe() -> None:
    """Make it mmengine's loader of URLs; a second call does nothing."""
    CheckpointLoader.register_scheme(
        ('http://', 'https://'), load_url_safely, force=True)
