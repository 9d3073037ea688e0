"""How large a model a checkpoint's own config claims, before it is built."""
from __future__ import annotations

from typing import Any

from mmengine.config import Config
from torch import Tensor

from .model import build_on_meta
from .settings import iter_items

# Settings that count blocks, as no shape of a weight does.
_COUNTS = ('depth', 'depths')
# Either form of a model has fewer than twice the values of the other.
_MOST = 2


def check_claimed_size(cfg: Config, content: Any) -> None:
    """Refuse a config whose model is much larger than its checkpoint.

    Before it takes memory: the config is a few letters, the model that it
    describes may be of any size.

    The content is all that the checkpoint holds, weights included.

    Raises:
        ValueError: If the model is larger, or cannot be built.
    """
    sizes = [
        value.numel() for _, value in iter_items(content)
        if isinstance(value, Tensor)
    ]
    for key, value in iter_items(cfg.model):
        count = (
            _sum(value) if key in _COUNTS else
            len(value) if isinstance(value, (list, tuple)) else 0)
        if count > len(sizes):
            raise ValueError(f'its model has {count:,} parts, the file '
                             f'{len(sizes):,} weights')
    claimed = sum(weight.numel()
                  for weight in build_on_meta(cfg).state_dict().values())
    if claimed > _MOST * sum(sizes):
        raise ValueError(f'its model has {claimed:,} values, the file '
                         f'{sum(sizes):,}')


def _sum(value: Any) -> int:
    values = value if isinstance(value, (list, tuple)) else (value, )
    return sum(number for number in values if isinstance(number, int))
