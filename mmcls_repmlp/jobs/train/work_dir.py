"""One training at a time in a work dir, and none over another unasked."""
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log

from mmcls_repmlp.checkpoints import checkpoint_folder, numbered_checkpoints
from repmlp_lite.errors import UserError, option

LOCK = '.training.lock'
# Data loaders' processes hold the lock of a killed training until they find
# out, which takes them 5 s.
PATIENCE = 8
# Where launchers tell a process its number.
_RANKS = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')


def hook_config(cfg: Config) -> dict:
    """Take the options of a config's CheckpointHook."""
    return (cfg.get('default_hooks') or {}).get('checkpoint') or {}


def saved_checkpoints(cfg: Config) -> list[tuple[int, Path]]:
    """List what a training of this config saved, newest first.

    See :func:`mmcls_repmlp.checkpoints.numbered_checkpoints`.
    """
    hook = hook_config(cfg)
    template = hook.get('filename_tmpl') or ('epoch_{}.pth' if hook.get(
        'by_epoch', True) else 'iter_{}.pth')
    return numbered_checkpoints(folder_of(cfg), template)


def folder_of(cfg: Config) -> Path:
    """Name the folder of a config's checkpoints."""
    return checkpoint_folder(
        os.path.abspath(cfg.work_dir),
        hook_config(cfg).get('out_dir'))


def check_work_dir_unused(cfg: Config, step: int | None) -> None:
    """Refuse to train where checkpoints of another training would go.

    Args:
        cfg: The config, with its work dir.
        step: Number of the checkpoint that is resumed; None if training
            starts anew.

    Raises:
        UserError: If there are checkpoints that would be replaced.
    """
    replaced = _after(cfg, step)
    if replaced:
        raise UserError(
            f'{str(folder_of(cfg))!r} holds checkpoints of a training, '
            f'{replaced[0].name} the newest, which this one would replace: go '
            f'on from it with {option("resume", ...)}, choose another folder '
            f'with {option("work_dir", ...)}, or pass {option("force")} to '
            'remove them')


def _after(cfg: Config, step: int | None) -> list[Path]:
    return [
        path for number, path in saved_checkpoints(cfg)
        if step is None or number > step
    ]


def remove_checkpoints(cfg: Config, step: int | None) -> None:
    """Remove those of another training, so that nobody takes them for ours.

    Args:
        cfg: The config, with its work dir.
        step: As of :func:`check_work_dir_unused`.
    """
    if not is_main_process():
        return
    replaced = _after(cfg, step)
    if step is None:
        replaced += Path(folder_of(cfg)).glob('best_*.pth')
    for path in replaced:
        path.unlink()
        print_log(f'removed {path} of an earlier training', 'current')
    with suppress(FileNotFoundError):
        Path(cfg.work_dir, 'last_checkpoint').unlink()


@contextmanager
def lock_work_dir(work_dir: str) -> Iterator[None]:
    """Keep other trainings out of a work dir as long as the block runs.

    The first of several processes does it for all. However a process ends,
    its lock goes with it.

    Raises:
        UserError: If another training runs there.
    """
    rank = next((os.environ[name] for name in _RANKS if name in os.environ),
                '0')
    with _lock(work_dir) if rank == '0' else nullcontext():
        yield


@contextmanager
def _lock(work_dir: str) -> Iterator[None]:
    Path(work_dir).mkdir(parents=True, exist_ok=True)
    lock = FileLock(Path(work_dir, LOCK), timeout=PATIENCE)
    # Some network file systems know no locks; there nobody is kept out.
    with suppress(NotImplementedError):
        try:
            lock.acquire()
        except Timeout:
            raise UserError(
                f'another training is running in {work_dir!r}: wait for its '
                f'end, or choose another folder with {option("work_dir", ...)}'
            ) from None
    try:
        yield
    finally:
        lock.release()
