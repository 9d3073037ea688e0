"""What a checkpoint says about itself beside its weights."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def meta_of(checkpoint: Any) -> dict[str, Any]:
    """Take the ``meta`` of a checkpoint; empty if it has none."""
    meta = checkpoint.get('meta') if isinstance(checkpoint, Mapping) else None
    return dict(meta) if isinstance(meta, Mapping) else {}


def class_names(checkpoint: Any) -> tuple[str, ...]:
    """Name the classes that a checkpoint was trained on.

    Args:
        checkpoint: What the file holds. mmengine keeps the names under
            ``dataset_meta``, older files under 'classes' or 'CLASSES'.

    Returns:
        The names by label; empty if the checkpoint does not say.
    """
    meta = meta_of(checkpoint)
    return tuple((meta.get('dataset_meta') or {}).get('classes')
                 or meta.get('classes') or meta.get('CLASSES') or ())


def classes_meta(checkpoint: Any) -> dict[str, Any]:
    """Write down the classes in both ways that readers of mmcls know.

    Args:
        checkpoint: What the file holds.

    Returns:
        'classes', and 'dataset_meta' with all that the data set said; empty
        if the checkpoint does not name its classes.
    """
    names = class_names(checkpoint)
    if not names:
        return {}
    dataset_meta = meta_of(checkpoint).get('dataset_meta') or {}
    return dict(classes=names, dataset_meta={**dataset_meta, 'classes': names})
