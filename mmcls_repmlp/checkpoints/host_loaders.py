"""mmengine's loaders of checkpoints, made as safe as our own reader.

mmengine unpickles a downloaded file without restriction, a maintained fork of
it (onedl-mmengine 0.10.12) every file that weights-only unpickling refuses,
and both execute the config that a checkpoint carries.
"""
from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_checkpoint

from .checkpoint_file import read_checkpoint
from .download import WEB
from .plain import restore_histories, to_plain
from .safe_globals import restrict_safe_globals
from .weights import state_dict_of

_FORCE = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'


def load_safely(filename: str, *_: Any, **__: Any) -> Any:
    """Read a checkpoint to the CPU for mmengine, without any config in it.

    Its weights are under 'state_dict' and checked, see :func:`state_dict_of`.
    """
    return _checked(read_checkpoint(filename), filename)


# mmengine prints a loader's name from its eleventh letter on.
load_safely.__name__ = 'load_from_safe'


def make_loading_safe() -> None:
    """Put our reader in the place of mmengine's; twice does no more.

    What reads other storage, such as s3://, keeps reading it, weights only.
    """
    for prefix, load in list(CheckpointLoader._schemes.items()):
        safe = load_safely if prefix in ('', *WEB) else _weights_only(load)
        CheckpointLoader.register_scheme(prefix, safe, force=True)
    # What torchvision://, openmmlab:// and the like come to.
    mmengine_checkpoint.load_from_http = load_safely


def _weights_only(load: Callable[..., Any]) -> Callable[..., Any]:
    load = getattr(load, '__wrapped__', load)

    @wraps(load)
    def safe(filename: str, *args: Any, **kwargs: Any) -> Any:
        with _forced_weights_only(), restrict_safe_globals():
            content = load(filename, *args, **kwargs)
        return _checked(to_plain(content, filename), filename)

    return safe


@contextmanager
def _forced_weights_only() -> Iterator[None]:
    before = os.environ.get(_FORCE)
    os.environ[_FORCE] = '1'
    try:
        yield
    finally:
        del os.environ[_FORCE]
        if before is not None:
            os.environ[_FORCE] = before


def _checked(content: Any, source: str) -> Any:
    weights = state_dict_of(content, source)
    if not isinstance(content.get('meta', content.get('state_dict')), dict):
        return weights  # nothing but weights in the file
    kept = {
        key: restore(_without_configs(content[key]))
        for key, restore in (('meta', dict), ('message_hub',
                                              restore_histories))
        if key in content
    }
    return {**content, **kept, 'state_dict': weights}


def _without_configs(content: Any, depth: int = 2) -> Any:
    if not isinstance(content, dict) or not depth:
        return content
    return {
        key: _without_configs(value, depth - 1)
        for key, value in content.items() if key not in ('config', 'cfg')
    }
