"""Configs: read from files, changed by settings, built into runners."""
from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from mmengine.config import Config

from mmcls_repmlp.host import NAME
from mmcls_repmlp.recipe import replace_host_parts
from repmlp_lite.errors import ConfigError, UserError, option, translate
from repmlp_lite.files import check_writable

from .config_files import read_file
from .options import check_options

# Variables that launchers set to the number of a process, and their programs.
RANKS = dict(pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')
_PROGRAMS = dict(
    pytorch='torchrun --nproc_per_node=NUMBER', slurm='srun', mpi='mpirun')
# Errors that a wrong config causes where things are built of it.
_FAULTS = (ValueError, TypeError, LookupError, AttributeError, AssertionError,
           ImportError)


def config_errors(message: str, *more:
                  type[Exception]) -> AbstractContextManager[None]:
    """Translate errors that a wrong config causes, see ``translate``.

    Errors of the machine, such as a full disk, pass unchanged, unless they are
    of one of the classes ``more``.
    """
    return translate(ConfigError, message, *_FAULTS, *more)


def read_config(path: str | Path,
                options: Mapping[str, Any] | None = None) -> Config:
    """Read a config file and change settings in it.

    Args:
        path: The file.
        options: Settings to change, by dotted key. Defaults to none.

    Returns:
        The config. ``default_scope`` defaults to the host.

    Raises:
        ConfigError: If the file does not exist or is no valid config, or a
            setting has no place in it.
    """
    config, options = read_file(path), dict(options or {})
    check_options(config, options)
    with config_errors(f'the settings given do not fit config {str(path)!r}'):
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


def set_work_dir(config: Config, path: str | Path,
                 work_dir: str | None) -> None:
    """Set the work folder: the argument, the config's or one named after it.

    Raises:
        UserError: If the folder cannot be made or written to.
    """
    config.work_dir = str(
        work_dir or config.get('work_dir') or Path('work_dirs',
                                                   Path(path).stem))
    check_writable(Path(config.work_dir, 'log'), force=True)


def set_launcher(config: Config, launcher: str) -> None:
    """Prepare for several processes, on GPUs or, without any, on CPUs.

    mmengine starts processes for GPUs only. Without one they are joined here,
    over gloo.

    Raises:
        UserError: If the process was not started by that launcher, or it needs
            GPUs and there are none.
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
        type='MMDistributedDataParallel', device_ids=None)
    if not dist.is_initialized():
        with translate(UserError, 'the processes cannot be joined', ValueError,
                       RuntimeError):
            dist.init_process_group('gloo')
