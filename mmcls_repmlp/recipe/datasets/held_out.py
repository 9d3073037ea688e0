"""Which images of a folder are kept from training, to validate with."""
from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

PARTS = ('train', 'val')


def held_out(samples: Sequence[tuple[str, int]], share: float) -> list[bool]:
    """Choose the same share of every class, always the same images.

    Args:
        samples: Name and label of each image.
        share: Which share, in (0, 1). One image of every class is held out at
            least, and one is trained on; of a class of one, none is held out.

    Returns:
        Whether each is held out.
    """
    places: dict[int, list[int]] = defaultdict(list)
    for i, (_, label) in enumerate(samples):
        places[label].append(i)
    held: set[int] = set()
    for label, indices in places.items():
        # By name, so that the order of a listing decides nothing.
        indices.sort(key=lambda i: samples[i][0])
        count = min(max(1, round(share * len(indices))), len(indices) - 1)
        held.update(random.Random(label).sample(indices, count))
    return [i in held for i in range(len(samples))]
