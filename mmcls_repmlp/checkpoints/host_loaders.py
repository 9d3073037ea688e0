"""Let mmengine read checkpoints as safely as our own tools, by every road.

mmengine unpickles a downloaded file without restriction, a maintained fork of
it (onedl-mmengine 0.10.12) every file that weights-only unpickling refuses,
and both execute the config that a checkpoint carries: to compare batch sizes
when training is resumed, or to build a model that nobody named.
"""
from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_checkpoint

from .download import WEB
from .read import read_checkpoint
from .safe_globals import only_what_mmengine_writes
from .weights import state_dict_of

Loader = Callable[..., Any]
_LOCAL = ''
# Where a checkpoint carries a config, which mmengine would execute.
_CONFIGS = (('meta', 'config'), ('meta', 'cfg'), ('message_hub',
                                                  'runtime_info', 'cfg'))
_FORCE = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'


def load_safely(filename: str, map_location: Any = None, **kwargs: Any) -> Any:
    """Read a checkpoint to the CPU, weights only, for mmengine.

    Args:
        filename: Path or URL.
        map_location: Not used; what is loaded into a model goes to its
            device. Defaults to None.
        **kwargs: Not used.

    Returns:
        What the file holds, but no config. Its weights are under
        'state_dict' and checked, see :func:`state_dict_of`.

    Raises:
        CheckpointError: If it cannot be fetched, read safely, or used.
    """
    return _checked(read_checkpoint(filename), filename)


def make_loading_safe() -> None:
    """Put this in the place of mmengine's loaders; twice does no more.

    Files and addresses go through :func:`load_safely`. What reads other
    storage, such as s3://, keeps reading it, weights only.
    """
    for prefix, load in list(CheckpointLoader._schemes.items()):
        ours = prefix in (_LOCAL, *WEB)
        safe = load_safely if ours else _weights_only(load)
        CheckpointLoader.register_scheme(prefix, safe, force=True)
    # What torchvision://, openmmlab:// and the like come to.
    mmengine_checkpoint.load_from_http = load_safely


def _weights_only(load: Loader) -> Loader:
    load = getattr(load, '__wrapped__', load)

    @wraps(load)
    def safe(filename: str, *args: Any, **kwargs: Any) -> Any:
        with _forced_weights_only(), only_what_mmengine_writes():
            return _checked(load(filename, *args, **kwargs), filename)

    return safe


@contextmanager
def _forced_weights_only() -> Iterator[None]:
    before = os.environ.get(_FORCE)
    os.environ[_FORCE] = '1'
    try:
        yield
    finally:
        if before is None:
            del os.environ[_FORCE]
        else:
            os.environ[_FORCE] = before


def _checked(content: Any, source: str) -> Any:
    weights = state_dict_of(content, source)
    if not isinstance(content.get('meta', content.get('state_dict')), Mapping):
        return weights  # nothing but weights in the file
    content = {**content, 'state_dict': weights}
    for path in _CONFIGS:
        content = _without(content, path)
    return content


def _without(content: Any, path: Sequence[str]) -> Any:
    """Leave out an entry of nested dicts; the given ones stay as they are."""
    first, *rest = path
    if not isinstance(content, Mapping) or first not in content:
        return content
    if rest:
        return {**content, first: _without(content[first], rest)}
    return {key: value for key, value in content.items() if key != first}
