"""Hints for misspelt arguments of constructors, by name."""
from __future__ import annotations

import inspect
import re
import traceback
from functools import wraps
from typing import Any

from repmlp_lite.errors import did_you_mean

from . import (BATCH_AUGMENTS, DATASETS, HOOKS, METRICS, MODELS,
               PARAM_SCHEDULERS, TRANSFORMS)

_REGISTRIES = (BATCH_AUGMENTS, DATASETS, HOOKS, METRICS, MODELS,
               PARAM_SCHEDULERS, TRANSFORMS)


def add_keyword_hints(*others: Any) -> None:
    """Let our registered classes, and others, name the argument meant."""
    ours = {
        kind
        for registry in _REGISTRIES
        for kind in registry.module_dict.values()
        if kind.__module__.startswith('mmcls_repmlp.')
    }
    for kind in {*ours, *others}:
        kind.__init__ = _with_hints(kind)


def hint_for(error: BaseException) -> str:
    """Return the hint for a class that mmengine could not build, or ''."""
    name = re.search("unexpected keyword argument '(.+?)'", str(error))
    kinds = [
        frame.f_locals.get('obj_cls')
        for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    kind = next((kind for kind in kinds[::-1] if isinstance(kind, type)), None)
    if name is None or kind is None:
        return ''
    return did_you_mean(name[1], _keywords(kind))


def _with_hints(kind: Any) -> Any:
    init, known = kind.__init__, _keywords(kind)

    @wraps(init)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        for name in kwargs:
            hint = '' if name in known else did_you_mean(name, known)
            # Without one, Python's own error is clear.
            if hint:
                raise TypeError(f'{kind.__name__} has no argument {name!r}'
                                f'{hint}')
        init(self, *args, **kwargs)

    return wrapped


def _keywords(kind: type) -> set[str]:
    """Collect the arguments of a class, and those it passes to its bases."""
    known: set[str] = set()
    for base in inspect.getmro(kind):
        init: Any = vars(base).get('__init__')
        if init is not None:
            parameters = inspect.signature(init).parameters
            known |= {*parameters}
            if all(parameter.kind is not parameter.VAR_KEYWORD
                   for parameter in parameters.values()):
                break
    return known
