"""Settings within settings."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def iter_items(settings: Any) -> Iterator[tuple[Any, Any]]:
    """Go through settings, at any depth.

    Args:
        settings: Dictionaries, lists and tuples within one another.

    Yields:
        Every key with its value, and None with every value of a list.
    """
    if isinstance(settings, Mapping):
        items: Iterable[tuple[Any, Any]] = settings.items()
    elif isinstance(settings, (list, tuple)):
        items = ((None, value) for value in settings)
    else:
        return
    for key, value in items:
        yield key, value
        yield from iter_items(value)
