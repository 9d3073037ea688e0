"""Work folder of a training run: its lock and its checkpoints."""
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process

from mmcls_repmlp.checkpoints import checkpoint_folder, numbered_checkpoints
from mmcls_repmlp.jobs.shared.config import RANKS
from repmlp_lite.console import say
from repmlp_lite.errors import UserError, option
from repmlp_lite.locks import lock

LOCK = '.training.lock'
# Seconds to wait for a lock: loader processes of a killed training run hold it
# until they notice, which takes 5 s.
PATIENCE = 8


def hook_config(cfg: Config) -> dict:
    """Return the options of a config's CheckpointHook."""
    return (cfg.get('default_hooks') or {}).get('checkpoint') or {}


def saved_checkpoints(cfg: Config) -> list[tuple[int, Path]]:
    """List the checkpoints of a config's training run, newest first."""
    hook = hook_config(cfg)
    template = hook.get('filename_tmpl') or ('epoch_{}.pth' if hook.get(
        'by_epoch', True) else 'iter_{}.pth')
    return numbered_checkpoints(folder_of(cfg), template)


def folder_of(cfg: Config) -> Path:
    """Return the folder of a config's checkpoints."""
    return checkpoint_folder(
        os.path.abspath(cfg.work_dir),
        hook_config(cfg).get('out_dir'))


def check_work_dir_unused(cfg: Config, step: int | None) -> None:
    """Raise UserError if other training runs' checkpoints would be replaced.

    ``step`` is the number of the one to resume from; None for a new run.
    """
    replaced = _later_checkpoints(cfg, step)
    if replaced:
        raise UserError(
            f'{str(folder_of(cfg))!r} holds checkpoints of a training run, '
            f'{replaced[0].name} the newest, which this one would replace: '
            f'resume from it with {option("resume", ...)}, choose another '
            f'folder with {option("work_dir", ...)}, or pass '
            f'{option("force")} to remove them')


def remove_checkpoints(cfg: Config, step: int | None) -> None:
    """Remove the checkpoints of :func:`check_work_dir_unused`."""
    if not is_main_process():
        return
    replaced = _later_checkpoints(cfg, step)
    if step is None:
        replaced += folder_of(cfg).glob('best_*.pth')
    for path in replaced:
        path.unlink()
        say(f'removed {path} of an earlier training run')
    Path(cfg.work_dir, 'last_checkpoint').unlink(missing_ok=True)


def _later_checkpoints(cfg: Config, step: int | None) -> list[Path]:
    return [
        path for number, path in saved_checkpoints(cfg)
        if step is None or number > step
    ]


@contextmanager
def lock_work_dir(work_dir: str) -> Iterator[None]:
    """Keep other training runs out of a work folder during a block.

    Of several processes only the first takes the lock, which ends with it.
    Raise UserError if another training run holds it.
    """
    rank = next(filter(None, map(os.environ.get, RANKS.values())), '0')
    if rank != '0':
        yield
        return
    Path(work_dir).mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            held.enter_context(lock(Path(work_dir, LOCK), PATIENCE))
        except TimeoutError:
            raise UserError(
                f'another training run uses {work_dir!r}: wait until it ends, '
                'or choose another folder with '
                f'{option("work_dir", ...)}') from None
        yield
