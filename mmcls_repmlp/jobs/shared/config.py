"""Configs: read from files, changed by settings, built into runners."""
from __future__ import annotations

import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from mmengine.config import Config

from mmcls_repmlp.host import NAME, silence_import_warnings
from mmcls_repmlp.host.keywords import hint_for
from mmcls_repmlp.recipe import replace_host_parts
from repmlp_lite.console import warn
from repmlp_lite.errors import (ConfigError, UserError, describe, did_you_mean,
                                option, translate)

from .unread_settings import drop_unread

# Variables that launchers set to the number of a process, and their programs.
RANKS = dict(pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')
_PROGRAMS = dict(
    pytorch='torchrun --nproc_per_node=NUMBER', slurm='srun', mpi='mpirun')
# Errors that a wrong config causes where things are built of it.
_FAULTS = (ValueError, TypeError, LookupError, AttributeError, AssertionError,
           ImportError)


@contextmanager
def config_errors(message: str, *more: type[Exception]) -> Iterator[None]:
    """Translate errors that a wrong config causes, or of the classes ``more``.

    Errors of the machine, such as a full disk, pass unchanged.
    """
    with translate(ConfigError, message, *_FAULTS, *more):
        try:
            yield
        except TypeError as error:
            hint = hint_for(error)
            if hint:
                raise TypeError(f'{error}{hint}') from error
            raise


def read_config(path: str | Path,
                options: Mapping[str, Any] | None = None) -> Config:
    """Read a config file, and change settings in it by dotted key.

    ``default_scope`` defaults to the host, and ~ in paths is the home folder.
    Warn of settings that nothing reads. Raise ConfigError if the file is no
    valid config, or a setting has no place in it.
    """
    files: list[Path] = []
    config, options = read_file(path, files), dict(options or {})
    check_options(config, options)
    with config_errors(f'{", ".join(options)} cannot be set in config '
                       f'{str(path)!r}'):
        config.merge_from_dict(options)
    config.setdefault('default_scope', NAME)
    if not isinstance(config.get('model'), Mapping):
        raise ConfigError(f'config {str(path)!r} has no model: is it a config '
                          f'of {NAME}?')
    drop_unread(config, files, options)
    for key, value in config.items():
        config[key] = _expand_home(value)
    replace_host_parts(config)
    return config


def read_file(path: str | Path, files: list[Path]) -> Config:
    """Read a config file with all that it inherits, which ``files`` lists.

    Raise ConfigError with the name of the file and the line at fault.
    """
    if not Path(path).is_file():
        raise ConfigError(f'config {str(path)!r} does not exist as a file: '
                          'check the path')
    message = f'config {str(path)!r} cannot be read'
    try:
        with silence_import_warnings():
            _check_files(Path(path).resolve(), (), files)
            return Config.fromfile(str(path))
    except (Exception, SystemExit) as error:  # a config is code
        message += _line(error, files)
        with translate(ConfigError, message, Exception, SystemExit):
            raise


def _check_files(path: Path, above: tuple[Path, ...],
                 files: list[Path]) -> None:
    """List a config file and all below it; raise if one is malformed.

    mmengine parses copies, so that its own errors name no file, and follows
    a file that includes itself until Python stops it.
    """
    if path in above:
        names = [file.name for file in (*above[above.index(path):], path)]
        raise RuntimeError('it includes itself through _base_: '
                           f'{" -> ".join(names)}')
    if not path.is_file():
        raise FileNotFoundError(f'_base_ of {str(above[-1])!r} names '
                                f'{str(path)!r}, which is no file')
    try:
        if path.suffix == '.py':
            compile(path.read_bytes(), str(path), 'exec')
        bases = [
            Path(Config._get_cfg_path(base, str(path))[0]).resolve()
            for base in Config._get_base_files(str(path))
        ]
    except Exception as error:
        raise RuntimeError(f'{str(path)!r} cannot be parsed: '
                           f'{describe(error)}') from error
    files.append(path)
    for base in bases:
        _check_files(base, (*above, path), files)


def _line(error: BaseException, files: list[Path]) -> str:
    """Name the innermost line of config files that an error came from."""
    lines = [
        f' ({str(frame.filename)!r}, line {frame.lineno})'
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).resolve() in files
    ]
    return lines[-1] if lines else ''


def check_options(config: Config, options: Mapping[str, Any]) -> None:
    """Raise ConfigError if settings are malformed; warn of unlikely keys."""
    for key, value in options.items():
        steps = key.split('.')
        if not all(map(str.strip, steps)):
            raise ConfigError(f'setting {key!r} has an empty key: write names '
                              'with a dot between them, such as a.b=1')
        _check_option(dict(config.items()), key, steps, value)


def _check_option(place: Any, key: str, steps: list[str], value: Any) -> None:
    for i, step in enumerate(steps):
        if isinstance(place, (list, tuple)):
            place = {str(index): item for index, item in enumerate(place)}
        if not isinstance(place, Mapping):
            return  # mmengine raises
        if step not in place:
            _warn_if_unlikely(key, step, '.'.join(steps[:i]), place)
            return
        place = place[step]
    whole = len(steps) == 1 or steps[-1].isdigit()
    if whole and isinstance(place, Mapping) and not isinstance(
            value, (Mapping, list, tuple, type(None))):
        raise ConfigError(f'setting {key!r} to {value!r} would replace all '
                          f'settings within: name one, such as {key}.'
                          f'{next(iter(place), "type")}')


def _warn_if_unlikely(key: str, step: str, path: str, place: Mapping) -> None:
    # Below the top, classes take more settings than a config lists, and
    # raise for those that they do not take when they are built.
    hint = did_you_mean(step, map(str, place), 0.85)
    if path and hint:
        warn(f'warning: --cfg-options {key}: {path} has no {step!r}{hint}')


def _expand_home(settings: Any) -> Any:
    """Replace ~ at the beginning of texts, which in a config are paths."""
    if isinstance(settings, str):
        return os.path.expanduser(settings)
    if isinstance(settings, dict):
        for key, value in settings.items():
            settings[key] = _expand_home(value)
    elif type(settings) in (list, tuple):
        return type(settings)(map(_expand_home, settings))
    return settings


def set_launcher(config: Config, launcher: str) -> None:
    """Prepare for several processes, on GPUs or, without any, on CPUs.

    mmengine starts processes for GPUs only. Without one they are joined here,
    over gloo. Raise UserError if this process was not started for that.
    """
    config.launcher = launcher
    if launcher == 'none':
        return
    if launcher not in RANKS:
        raise UserError(f'launcher {launcher!r} is unknown: choose from none, '
                        f'{", ".join(RANKS)}')
    if not os.environ.get(RANKS[launcher], '').isdigit():
        raise UserError(
            f'{option("launcher", launcher)} is for processes started by '
            f'{_PROGRAMS[launcher]}, which sets {RANKS[launcher]}: start with '
            f'that, or leave {option("launcher", ...)} out for one process')
    for name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
        os.environ.setdefault(name, '1')  # as mmengine does, and warns of
    if torch.cuda.is_available():
        return
    if launcher != 'pytorch':
        raise UserError(
            f'{option("launcher", launcher)} needs GPUs, and none is '
            'available here: choose pytorch, which works without')
    config.model_wrapper_cfg = dict(
        type='MMDistributedDataParallel',
        device_ids=None,
        find_unused_parameters=config.get('find_unused_parameters', False))
    if not dist.is_initialized():
        with translate(UserError, 'the processes cannot be joined', ValueError,
                       RuntimeError):
            dist.init_process_group('gloo')
