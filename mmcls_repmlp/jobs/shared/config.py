"""From a config file to a runner that is ready to go, or a clear error."""
from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
import torch.distributed as dist
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner

from mmcls_repmlp.host import DATASETS, NAME, silence_import_warnings
from mmcls_repmlp.recipe import replace_host_parts
from repmlp_lite.errors import ConfigError, UserError, option
from repmlp_lite.files import check_writable

from .config_files import explain, refuse_circle
from .launch import check_launcher
from .leaf_datasets import (check_annotation_files, check_samples,
                            describe_annotations)
from .options import check_options
from .runners import QuietRunner, SeparateRunner
from .vis_backends import check_vis_backends

# What numpy says when mmengine joins the samples of a data set without any.
_NO_SAMPLE = 'at least one array'
# What a wrong config causes where things are built of it.
_WRONG: tuple[type[Exception],
              ...] = (ValueError, TypeError, KeyError, AttributeError,
                      AssertionError, ImportError)
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def read_config(path: str | Path,
                options: Mapping[str, Any] | None = None) -> Config:
    """Read a config file and change settings in it, by dotted key.

    The host is its default scope if it names none.

    Raises:
        ConfigError: If the file does not exist or is no valid config, or a
            setting has no place in it.
    """
    return change_config(_read(path), path, options)


def change_config(config: Config, path: str | Path,
                  options: Mapping[str, Any] | None) -> Config:
    """Change settings of a config that was read from a path, and complete it.

    Raises:
        ConfigError: As :func:`read_config`.
    """
    options = dict(options or {})
    check_options(config, options)
    with user_errors(f'the settings given do not go with {str(path)!r}'):
        config.merge_from_dict(options)
    config.setdefault('default_scope', NAME)
    if not isinstance(config.get('model'), Mapping):
        raise ConfigError(f'config {str(path)!r} has no model: is it a config '
                          f'of {NAME}?')
    if not isinstance(config.default_scope, str):
        raise ConfigError(f'default_scope is {config.default_scope!r}: it '
                          f'names a registry, such as {NAME!r}')
    replace_host_parts(config)
    return config


def _read(path: str | Path) -> Config:
    if not Path(path).is_file():
        what = 'is a folder, name a file in it' if Path(path).is_dir() else (
            'does not exist: check the path')
        raise ConfigError(f'config {str(path)!r} {what}')
    try:
        with silence_import_warnings():
            refuse_circle(path)
            return Config.fromfile(str(path))
    except MemoryError:
        raise
    except (Exception, SystemExit) as error:  # a config is code
        raise ConfigError(f'config {str(path)!r} cannot be read: '
                          f'{explain(path, error)}') from error


def set_work_dir(config: Config, path: str | Path,
                 work_dir: str | None) -> None:
    """Choose the folder of logs and results.

    An argument goes before the config's own, and that before a folder named
    after the config file.

    Raises:
        UserError: If it cannot be made, or written to.
    """
    config.work_dir = str(
        work_dir or config.get('work_dir') or Path('work_dirs',
                                                   Path(path).stem))
    check_writable(Path(config.work_dir, 'log'), force=True)


def set_loader_defaults(config: Config) -> None:
    """Complete the data loaders as the host's own tools do."""
    for name in _LOADERS:
        loader = config.get(name)
        if loader is not None:
            loader.setdefault('collate_fn', dict(type='default_collate'))
            # Without an accelerator torch would warn of it.
            loader.pin_memory = torch.cuda.is_available() and loader.get(
                'pin_memory', True)
            # Without workers none can persist: torch refuses that.
            workers = loader.get('num_workers', 0) > 0
            loader.persistent_workers = workers and loader.get(
                'persistent_workers', True)


def set_launcher(config: Config, launcher: str) -> None:
    """Prepare for several processes, on GPUs or, without any, on CPUs.

    mmengine starts processes for GPUs only. Without one they are joined here,
    over gloo.

    Raises:
        UserError: If the process was not started by that launcher.
    """
    check_launcher(launcher)
    config.launcher = launcher
    if launcher != 'none':
        for name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
            os.environ.setdefault(name, '1')  # as mmengine does, and warns of
    if launcher == 'pytorch' and not torch.cuda.is_available():
        config.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel', device_ids=None)
        if not dist.is_initialized():
            dist.init_process_group('gloo')


def build_runner(config: Config, verbose: bool = True) -> Runner:
    """Build the runner of a config, its model included.

    The screen shows all that its log does, unless ``verbose`` is False.

    Raises:
        ConfigError: If something in the config cannot be built, or needs a
            package that is not installed.
    """
    check_vis_backends(config)
    # A full disk or a broken one is no fault of the config.
    with user_errors('the config cannot be built', FileNotFoundError,
                     NotADirectoryError, PermissionError):
        kind = SeparateRunner if verbose else QuietRunner
        return kind.from_cfg(config)


def build_loop(runner: Runner, name: str) -> None:
    """Build the 'train', 'val' or 'test' loop of a runner with its data set.

    Raises:
        ConfigError: If the data set is not there, or cannot be built.
    """
    data = runner.cfg[f'{name}_dataloader'].get('dataset')
    check_annotation_files(data)
    with user_errors(
            f'the {name} loop of the config{describe_annotations(data)} cannot '
            'be built'), data_errors(runner.cfg, name):
        loop = getattr(runner, f'{name}_loop')
    check_samples(loop.dataloader.dataset, f'the {name} data set')


def loader_config(config: Config, phase: str) -> ConfigDict:
    """Take the settings of the loader of a phase: 'train', 'val' or 'test'.

    They are completed as by the host's tools.

    Raises:
        ConfigError: If the config has no such loader; names those it has.
    """
    if config.get(f'{phase}_dataloader') is None:
        found = [name for name in _LOADERS if config.get(name) is not None]
        raise ConfigError(f'the config has no {phase}_dataloader, only '
                          f'{" and ".join(found) or "none at all"}')
    set_loader_defaults(config)
    return config[f'{phase}_dataloader']


@contextmanager
def data_errors(config: Config, phase: str) -> Iterator[None]:
    """Turn what missing data causes into a ConfigError, with the remedy."""
    try:
        yield
    except UserError:
        raise
    except ValueError as error:
        if _NO_SAMPLE not in str(error):
            raise
        raise ConfigError(f'the {phase} data set is empty: there is nothing '
                          'to do') from error
    except (OSError, RuntimeError) as error:
        data = config[f'{phase}_dataloader']['dataset']
        raise ConfigError(_what_is_missing(data, phase, error)) from error


def _what_is_missing(data: Mapping[str, Any], phase: str,
                     error: Exception) -> str:
    # Those that the host downloads have no root, but a prefix alone.
    key = next((key for key in ('data_root', 'data_prefix')
                if data.get(key) and isinstance(data[key], str)), 'data_root')
    what, remedy = 'cannot be read', 'put it there'
    url = getattr(DATASETS.get(str(data.get('type'))), 'url', None)
    if isinstance(error, URLError) and isinstance(url, str):
        what, remedy = 'is not there, nor to be had', f'put {url} there'
    place = f'{phase}_dataloader.dataset.{key}=FOLDER'
    return (f'the {phase} data set in {data.get(key, "")!r} {what} ({error}): '
            f'{remedy}, or name its folder with '
            f'{option("cfg_options", place)}')


@contextmanager
def user_errors(what: str, *more: type[Exception]) -> Iterator[None]:
    """Turn what a wrong config causes into a ConfigError, with the cause."""
    try:
        yield
    except UserError:
        raise
    except (*_WRONG, *more) as error:
        raise ConfigError(f'{what}: {error}') from error
