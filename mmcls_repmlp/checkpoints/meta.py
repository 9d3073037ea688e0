"""What a checkpoint says about itself beside its weights."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmcls_repmlp.version import __version__


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
        The names by label; empty if the checkpoint does not say, or says it
        otherwise than by a list of names.
    """
    meta = meta_of(checkpoint)
    of_data = meta.get('dataset_meta')
    found = ((of_data.get('classes') if isinstance(of_data, Mapping) else None)
             or meta.get('classes') or meta.get('CLASSES') or ())
    if isinstance(found, (list, tuple)) and all(
            isinstance(name, (str, int, float)) for name in found):
        return tuple(map(str, found))
    return ()


def classes_meta(checkpoint: Any) -> dict[str, Any]:
    """Write down the classes in both ways that readers of the host know.

    Args:
        checkpoint: What the file holds.

    Returns:
        'classes', and 'dataset_meta' with all that the data set said; empty
        if the checkpoint does not name its classes.
    """
    names = class_names(checkpoint)
    if not names:
        return {}
    dataset_meta = meta_of(checkpoint).get('dataset_meta')
    if not isinstance(dataset_meta, Mapping):
        dataset_meta = {}
    return dict(classes=names, dataset_meta={**dataset_meta, 'classes': names})


def converted_meta(checkpoint: Any) -> dict[str, Any]:
    """Compose the ``meta`` of what is made of a checkpoint.

    Args:
        checkpoint: What the file holds.

    Returns:
        The version that made it, and :func:`classes_meta`.
    """
    return dict(mmcls_repmlp_version=__version__, **classes_meta(checkpoint))
