"""Settings given on the command line, held against the config they change."""
from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from repmlp_lite.errors import ConfigError

# What mmengine's runner and the tools read from a config, beside what the
# runner takes as arguments and the config has.
_KNOWN = ('activation_checkpointing', 'auto_scale_lr', 'compile',
          'custom_imports', 'data_preprocessor', 'efficient_conv_bn_eval',
          'find_unused_parameters', 'model_wrapper_cfg', 'sync_bn',
          'tta_model', 'tta_pipeline')
# How alike a key is, as difflib counts, that was meant.
_ALIKE, _RATHER_ALIKE = 0.85, 0.6


def check_options(config: Config, options: Mapping[str, Any]) -> None:
    """Refuse settings that have no place in a config; doubt unlikely ones.

    A warning on stderr names the key that was probably meant, where a key is
    known to nobody. Settings go by dotted key; the config is as it was before.

    Raises:
        ConfigError: If a key leads through what has no settings.
    """
    settings = dict(config.items())
    for key, value in options.items():
        _check_option(settings, key, value)


def _check_option(settings: Mapping, key: str, value: Any) -> None:
    place, steps, path = settings, key.split('.'), ''
    if not all(map(str.strip, steps)):
        raise ConfigError(f'setting {key!r} has an empty key: write names '
                          'with a dot between them, such as a.b=1')
    for step in steps:
        if isinstance(place, Mapping):
            if step not in place:
                _doubt(key, step, path, place)
                return
        elif not isinstance(place, (list, tuple)):
            raise ConfigError(
                f'setting {key!r} cannot be made: {path} is {place!r}, which '
                f'has no {step}')
        elif not step.isdigit() or int(step) >= len(place):
            raise ConfigError(
                f'setting {key!r} cannot be made: {path} is a list, whose '
                f'places count from 0 to {len(place) - 1}')
        place = place[int(step) if isinstance(place, (list, tuple)) else step]
        path = f'{path}.{step}' if path else step
    _check_replaced(key, steps, place, value)


def _check_replaced(key: str, steps: Sequence[str], old: Any,
                    new: Any) -> None:
    if not isinstance(old, Mapping) or new is None or isinstance(
            new, (Mapping, list, tuple)):
        return
    if len(steps) == 1 or steps[-1].isdigit():
        raise ConfigError(f'setting {key!r} to {new!r} would replace all '
                          f'settings within: name one, such as {key}.'
                          f'{next(iter(old), "type")}')


def _doubt(key: str, step: str, path: str, place: Mapping) -> None:
    known = {*place} if path else {
        *place, *inspect.signature(Runner.__init__).parameters, *_KNOWN
    }
    near = difflib.get_close_matches(step, [*map(str, known)], 1,
                                     _ALIKE if path else _RATHER_ALIKE)
    # Below the top, classes take more settings than a config lists, and
    # refuse what they do not take when they are built.
    if step in known or (path and not near):
        return
    print(
        f'warning: --cfg-options {key}: {path or "the config"} has no '
        f'{step!r}{"" if path else ", and nothing reads it"}' +
        (f'; did you mean {near[0]!r}?' if near else ''),
        file=sys.stderr)
