"""Results of a test as a file for programs, beside its log."""
from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from torch import Tensor

from repmlp_lite.files import atomic_write


def write_results(scores: Mapping[str, Any], folder: str | Path,
                  counts: Tensor | None, classes: Sequence[str]) -> None:
    """Write ``results.json``: scores, and those of each class if known.

    Args:
        scores: Metrics by name, numbers or lists of them.
        folder: Folder of the test's log.
        counts: Images by true and predicted class (C, C), or None.
        classes: Names of the classes; missing ones are null.
    """
    content: dict[str, Any] = dict(scores={
        name: _plain(value)
        for name, value in scores.items()
    })
    if counts is not None:
        content['images'] = int(counts.sum())
        content['classes'] = _by_class(counts, classes)
    path = Path(folder, 'results.json')
    with atomic_write(path, force=True) as temporary:
        temporary.write_text(
            json.dumps(content, indent=1, allow_nan=False) + '\n')


def _by_class(counts: Tensor, classes: Sequence[str]) -> list[dict[str, Any]]:
    right = counts.diagonal().tolist()
    rows, columns = counts.sum(1).tolist(), counts.sum(0).tolist()
    names = [*classes, *[None] * len(rows)]
    # In per cent, as the host's metrics; null where nothing is to divide by.
    return [{
        'class': name,
        'precision': _share(hits, predicted),
        'recall': _share(hits, true),
        'f1_score': _share(2 * hits, predicted + true),
        'support': true
    } for name, hits, true, predicted in zip(names, right, rows, columns)]


def _share(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def _plain(value: Any) -> Any:
    value = getattr(value, 'tolist', lambda: value)()
    if isinstance(value, (list, tuple)):
        return [*map(_plain, value)]
    if isinstance(value, bool) or not isinstance(value, Real):
        return value if isinstance(value, bool) else str(value)
    return float(value) if math.isfinite(value) else None
