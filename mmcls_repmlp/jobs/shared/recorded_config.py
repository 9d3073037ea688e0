"""The config that a checkpoint carries, read as data and never executed."""
from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.registry import Registry
from mmengine.registry import root as mmengine_registries

from mmcls_repmlp.checkpoints import (meta_of, newest_checkpoint,
                                      read_checkpoint)
from mmcls_repmlp.checkpoints.download import WEB
from mmcls_repmlp.host import BATCH_AUGMENTS, DEFAULT_SCOPE, MODELS, NAME
from repmlp_lite.command_line.literals import literal
from repmlp_lite.errors import ConfigError, shorten

from .claimed_size import check_claimed_size
from .config import change_config, read_config
from .settings import iter_items

# What testing, merging, exporting and drawing read. Hooks, folders to write
# to and the like are for the training that is over.
_KEPT = ('data_preprocessor', 'default_scope', 'model', 'test_cfg',
         'test_dataloader', 'test_evaluator', 'tta_model', 'tta_pipeline',
         'val_cfg', 'val_dataloader', 'val_evaluator')
# Whose classes may be named: what mmengine finds by itself is imported, and
# called, whatever it is.
_OURS = 'mmcls_repmlp.'
_PARTS = ('datasets', 'evaluation', 'models.backbones', 'models.classifiers',
          'models.heads', 'models.losses', 'models.necks', 'models.tta',
          'models.utils')
_OTHERS = (*(f'{NAME}.{part}'
             for part in _PARTS), 'mmcv.cnn.bricks', 'mmcv.transforms',
           'mmengine.dataset', 'mmengine.evaluator.evaluator',
           'mmengine.model', 'mmengine.runner.loops', 'torch.nn')
# mmengine imports what a scope names, whatever it is.
_SCOPES = dict.fromkeys(('mmengine', NAME, DEFAULT_SCOPE))
# These load what a name stands for, on the web or in a file of any kind.
_NEVER = ('TimmClassifier', 'HuggingFaceClassifier', 'TIMMBackbone', 'RefCOCO')
# How files are read: from the disk, and by nothing that has to be imported.
_READERS = ('backend_args', 'file_client_args')
_DISK: tuple[Any, ...] = (None, {}, {'backend': 'disk'}, {'backend': 'local'})
_ADDRESS = '://'
# All but the model, whose size its weights tell.
_OF_DATA = tuple(key for key in _KEPT if key not in ('default_scope', 'model'))
# No image, batch or repetition needs more; seeds are no size, and classes are
# as many as there are.
_LARGEST = 16_384
_LIMITS = {'seed': float('inf'), 'num_classes': 1_000_000}
_LONGEST = 1_000_000
_MOST_WORKERS = 256
_SHOWN = 60


class Named(NamedTuple):
    """A config, and the checkpoint that it is for.

    Attributes:
        cfg: The config.
        checkpoint: Path or URL of the checkpoint.
        name: What the config is called by: its path, or the checkpoint's.
        content: What the checkpoint holds, if it was read for its config; or
            None.
    """
    cfg: Config
    checkpoint: str | Path
    name: str | Path
    content: Any = None


def config_for(config: str | Path | None,
               checkpoint: str | Path,
               options: Mapping[str, Any] | None = None) -> Named:
    """Read a config, or the one that a checkpoint carries if none is named.

    Args:
        config: The file; None for the checkpoint's own.
        checkpoint: Path or URL of a checkpoint, or the work folder of a
            training, whose newest one is meant.
        options: Settings to change, by dotted key. Defaults to none.

    Raises:
        ConfigError: If the config cannot be read, is none, or names what is
            no part of a RepMLP classifier.
        CheckpointError: If there is no checkpoint.
    """
    checkpoint = newest_checkpoint(checkpoint)
    if config is not None:
        return Named(read_config(config, options), checkpoint, config)
    content = read_checkpoint(checkpoint)
    cfg = recorded_config(meta_of(content), checkpoint)
    folder = Path(checkpoint).parent
    # Where models are shared, it may be closed.
    if not str(checkpoint).startswith(WEB) and os.access(folder, os.W_OK):
        cfg.work_dir = str(folder)
    change_config(cfg, checkpoint, options)
    with _refused(checkpoint):
        check_claimed_size(cfg, content)
    return Named(cfg, checkpoint, checkpoint, content)


def recorded_config(meta: Mapping[str, Any], source: str | Path) -> Config:
    """Read the config in the ``meta`` of a checkpoint as data.

    Returns:
        What testing needs of the config: model and data, no hooks.

    Raises:
        ConfigError: If there is none, or it is not plain data for a
            classifier with a backbone of this package; names the source.
    """
    text = meta.get('cfg') or meta.get('config')
    if not isinstance(text, str):
        raise ConfigError(f'checkpoint {str(source)!r} carries no config: '
                          'name one before it')
    with _refused(source):
        if len(text) > _LONGEST:
            raise ValueError(f'it is longer than {_LONGEST:,} characters')
        settings = {
            key: value
            for key, value in _settings(text).items() if key in _KEPT
        }
        _check_backbone(settings)
        for key, value in iter_items(settings):
            _check_value(key, value)
        for name in _OF_DATA:
            _check_data(settings.get(name))
    return Config(settings)


@contextmanager
def _refused(source: str | Path) -> Iterator[None]:
    """Say of which checkpoint a config is no use, and what to do."""
    try:
        yield
    except (SyntaxError, ValueError, TypeError, RuntimeError, OverflowError,
            MemoryError) as error:
        reason = shorten(str(error) or type(error).__name__, _SHOWN * 2)
        raise ConfigError(
            f'the config that checkpoint {str(source)!r} carries is not used '
            f'({reason}): name a config before it') from error


def _settings(text: str) -> dict[str, Any]:
    found = {}
    for statement in ast.parse(text).body:
        if not (isinstance(statement, ast.Assign) and len(statement.targets)
                == 1 and isinstance(statement.targets[0], ast.Name)):
            raise ValueError(f'line {statement.lineno} sets no single name')
        found[statement.targets[0].id] = literal(statement.value)
    return found


def _check_backbone(settings: Mapping[str, Any]) -> None:
    name: Any = settings
    for key in ('model', 'backbone', 'type'):
        name = name.get(key) if isinstance(name, Mapping) else None
    if not _is_of(name, (_OURS, )):
        raise ValueError('its backbone is none of this package')


def _check_value(key: Any, value: Any) -> None:
    if key == 'type' and (str(value).endswith(_NEVER)
                          or not _is_of(value, (_OURS, *_OTHERS))):
        fault = 'it names {}, which is no part of such a classifier'
    elif key in ('default_scope', '_scope_') and value not in _SCOPES:
        fault = 'it is for the scope {}, which is none of such a classifier'
    elif key in _READERS and value not in _DISK:
        fault = 'it reads files by {}, not from the disk'
    elif key == 'num_workers' and value not in range(_MOST_WORKERS + 1):
        fault = 'it loads data by {} processes, which is too many'
    else:
        return
    raise ValueError(fault.format(shorten(repr(value), _SHOWN)))


def _check_data(settings: Any) -> None:
    """Refuse data from elsewhere, and what would take all memory or time."""
    for key, value in iter_items(settings):
        if isinstance(value, str) and _ADDRESS in value:
            raise ValueError(f'its data are at {shorten(value, _SHOWN)!r}, '
                             'not on the disk')
        limit = _LIMITS.get(key, _LARGEST)
        if isinstance(value, (int, float)) and abs(value) > limit:
            raise ValueError(f'its data ask for {value:,}, which is more than '
                             f'{limit:,}')


def _is_of(name: Any, packages: tuple[str, ...]) -> bool:
    """Say whether all that is registered under a name is of some packages.

    Unlike mmengine's ``get``, this imports nothing that a name spells.
    """
    if not isinstance(name, str):
        return False
    scope, _, plain = name.rpartition('.')
    if scope not in ('', *_SCOPES):
        return False
    MODELS.import_from_location()
    found = [
        registry.module_dict[plain] for registry in _registries()
        if plain in registry.module_dict
    ]
    return bool(found) and all(
        str(getattr(kind, '__module__', '')).startswith(packages)
        for kind in found)


def _registries() -> Iterator[Registry]:
    roots = (
        value for value in vars(mmengine_registries).values()
        if isinstance(value, Registry))
    for root in roots:
        yield root
        for scope in {*root.children} & {*_SCOPES}:
            yield root.children[scope]
    yield BATCH_AUGMENTS  # the host's alone
