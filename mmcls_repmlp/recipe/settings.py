"""Settings of a config: all of them, and those that hang together."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config


def iter_items(settings: Any) -> Iterator[tuple[Any, Any]]:
    """Iterate over all keys and values of nested settings.

    The key of an item of a list or tuple is None.
    """
    items: Any = ()
    if isinstance(settings, Mapping):
        items = settings.items()
    elif isinstance(settings, (list, tuple)):
        items = ((None, value) for value in settings)
    for key, value in items:
        yield key, value
        yield from iter_items(value)


def set_classes(cfg: Config, count: int) -> None:
    """Set the number of classes wherever a config depends on it."""
    head = cfg.model.get('head')
    for settings in (head, cfg.get('data_preprocessor')):
        if isinstance(settings, dict) and 'num_classes' in settings:
            settings['num_classes'] = count
    for settings in (head, cfg.get('val_evaluator'),
                     cfg.get('test_evaluator')):
        if isinstance(settings, dict) and 'topk' in settings:
            topk = settings['topk']
            topk = (topk, ) if isinstance(topk, int) else topk
            settings['topk'] = tuple(k for k in topk if k <= count)
