"""Settings of the command line, checked against the config they change."""
from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from repmlp_lite.console import warn
from repmlp_lite.errors import ConfigError

# Top-level keys that mmengine's runner and the tools read, beside the
# arguments of the runner.
_KNOWN = ('activation_checkpointing', 'auto_scale_lr', 'compile',
          'custom_imports', 'data_preprocessor', 'efficient_conv_bn_eval',
          'find_unused_parameters', 'model_wrapper_cfg', 'sync_bn',
          'tta_model', 'tta_pipeline')


def check_options(config: Config, options: Mapping[str, Any]) -> None:
    """Raise if settings have no place in a config; warn of unlikely ones.

    The warning names the key that was probably meant, where a key is unknown.

    Raises:
        ConfigError: If a dotted key leads through a value without settings, or
            would replace several settings by one value.
    """
    for key, value in options.items():
        steps = key.split('.')
        if not all(map(str.strip, steps)):
            raise ConfigError(f'setting {key!r} has an empty key: write names '
                              'with a dot between them, such as a.b=1')
        _check_option(dict(config.items()), key, steps, value)


def _check_option(place: Any, key: str, steps: list[str], value: Any) -> None:
    for i, step in enumerate(steps):
        path = '.'.join(steps[:i])
        if isinstance(place, Mapping):
            if step not in place:
                _warn_if_unlikely(key, step, path, place)
                return
            place = place[step]
        elif not isinstance(place, (list, tuple)):
            raise ConfigError(f'setting {key!r} cannot be made: {path} is '
                              f'{place!r}, which has no {step}')
        elif not step.isdigit() or int(step) >= len(place):
            raise ConfigError(f'setting {key!r} cannot be made: {path} is a '
                              'list, with indices from 0 to '
                              f'{len(place) - 1}')
        else:
            place = place[int(step)]
    whole = len(steps) == 1 or steps[-1].isdigit()
    if whole and isinstance(place,
                            Mapping) and value is not None and not (isinstance(
                                value, (Mapping, list, tuple))):
        raise ConfigError(f'setting {key!r} to {value!r} would replace all '
                          f'settings within: name one, such as {key}.'
                          f'{next(iter(place), "type")}')


def _warn_if_unlikely(key: str, step: str, path: str, place: Mapping) -> None:
    known = {*place} if path else {
        *place, *inspect.signature(Runner.__init__).parameters, *_KNOWN
    }
    near = difflib.get_close_matches(step, map(str, known), 1,
                                     0.85 if path else 0.6)
    # Below the top, classes take more settings than a config lists, and
    # raise for those that they do not take when they are built.
    if step in known or (path and not near):
        return
    warn(f'warning: --cfg-options {key}: {path or "the config"} has no '
         f'{step!r}{"" if path else ", and nothing reads it"}' +
         (f'; did you mean {near[0]!r}?' if near else ''))
