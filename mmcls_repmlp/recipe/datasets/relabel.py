"""Labels of a data set turned into those of a model."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class MapLabels:
    """The first step of a pipeline whose labels are counted otherwise.

    Args:
        labels: The new label of every old one.
    """

    def __init__(self, labels: Sequence[int]) -> None:
        self.labels = tuple(labels)

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``gt_label``, an int, or a list of them."""
        old = results.get('gt_label')
        if old is not None:
            results['gt_label'] = ([self.labels[label]
                                    for label in old] if isinstance(
                                        old,
                                        (list, tuple)) else self.labels[old])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(labels={self.labels})'
