"""Names of classes, and other facts that a checkpoint states."""
from __future__ import annotations

import json
from typing import Any

from torch import Tensor

from mmcls_repmlp.version import __version__


def meta_of(checkpoint: Any) -> dict[str, Any]:
    """Return the ``meta`` of a checkpoint; empty if it has none."""
    return _dict_in(checkpoint, 'meta')


def class_names(checkpoint: Any) -> tuple[str, ...]:
    """Name the classes that a checkpoint was trained on, by label.

    mmengine keeps them under ``dataset_meta``, older files under 'classes' or
    'CLASSES'. Empty if there is no list of names.
    """
    meta = meta_of(checkpoint)
    for names in (_dict_in(meta, 'dataset_meta').get('classes'),
                  meta.get('classes'), meta.get('CLASSES')):
        if isinstance(names, (list, tuple)) and names and all(
                isinstance(name, (str, int, float)) for name in names):
            return tuple(map(str, names))
    return ()


def classes_meta(checkpoint: Any) -> dict[str, Any]:
    """Write down the classes in both ways that readers of the host know.

    Returns:
        'classes', and 'dataset_meta' as JSON has it; empty if there are none.
    """
    names = class_names(checkpoint)
    if not names:
        return {}
    dataset_meta = json.loads(
        json.dumps(
            _dict_in(meta_of(checkpoint), 'dataset_meta'),
            default=lambda value: value.tolist()
            if isinstance(value, Tensor) else str(value)))
    return dict(classes=names, dataset_meta={**dataset_meta, 'classes': names})


def converted_meta(checkpoint: Any) -> dict[str, Any]:
    """Compose the ``meta`` of what is made of a checkpoint."""
    return dict(mmcls_repmlp_version=__version__, **classes_meta(checkpoint))


def _dict_in(content: Any, key: str) -> dict[str, Any]:
    value = content.get(key) if isinstance(content, dict) else None
    return dict(value) if isinstance(value, dict) else {}
