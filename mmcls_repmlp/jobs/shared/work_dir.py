"""What commands write into a work folder, when, and under which names.

================== ==========================================================
``.training.lock`` held by a training run as long as it lives
``NAME.py``        config of the training run, written after its last check
``epoch_N.pth``    checkpoints, by AtomicCheckpointHook; ``best_*.pth`` too
``last_checkpoint`` path of the newest of them, for mmengine
``curves.png``     losses and scores, when a training run ends or is stopped
``TIME/``          folder of one run, training or test: its log and scalars;
                   a test's config and results too
``DST.pth, .py``   what converting jobs are told to write, with its config
================== ==========================================================

So of all commands, only training writes what training reads.
"""
from __future__ import annotations

import ast
import copy
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_main_process

from mmcls_repmlp.checkpoints import (CHECKPOINT_SUFFIXES, checkpoint_folder,
                                      numbered_checkpoints)
from mmcls_repmlp.checkpoints.download import WEB
from repmlp_lite.console import say
from repmlp_lite.errors import (ConfigError, UserError, first_few, option,
                                quote_path)
from repmlp_lite.files import atomic_write, check_writable
from repmlp_lite.locks import lock

from .config import RANKS

LOCK = '.training.lock'
# Seconds to wait for a lock: loader processes of a killed training run hold it
# until they notice, which takes 5 s.
PATIENCE = 8
# First line of a training run's config, which tells it from other files.
_MARK = '# Config of the training run in this folder, written by it.\n'


def set_work_dir(config: Config, path: str | Path,
                 work_dir: str | None) -> None:
    """Set the work folder, by the first of these that there is.

    The argument; the folder where a training run left this config; that of
    the config; one named after it. Raise UserError if the folder cannot be
    made or written to.
    """
    folder = Path(path).parent
    # What such a config says is untrue once the folder is moved or copied.
    is_recorded = _is_marked(Path(path)) and os.access(folder, os.W_OK)
    config.work_dir = str(
        os.path.expanduser(work_dir or '')
        or (folder if is_recorded else config.get('work_dir'))
        or Path('work_dirs',
                Path(path).stem))
    check_writable(Path(config.work_dir, 'log'), force=True)


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


def check_work_dir_unused(
    cfg: Config,
    step: float | None,
    force: bool = False,
    sources: Iterable[str | None] = ()) -> None:
    """Raise UserError if a training run would replace what others left.

    ``step`` is the number of the checkpoint to resume from; None for a new
    run. ``force`` allows to replace all but a config that a user wrote, and
    ``sources``, checkpoints that the run starts from.
    """
    own = config_of_run(cfg)
    # The host's tools leave no mark; their runs can be resumed here.
    is_left = _is_marked(own) or (step is not None and _is_dumped(own))
    if own.exists() and not is_left:
        raise UserError(
            f'{str(own)!r} is not the config of a training run, and would '
            'be overwritten by one: choose another folder with '
            f'{option("work_dir", ...)}, or rename it')
    replaced = _replaced(cfg, step)
    kept = {Path(source).resolve() for source in sources if source}
    lost = [path for path in replaced if path.resolve() in kept]
    if lost and force:
        raise UserError(
            f'{option("force")} would remove {str(lost[0])!r}, which this '
            f'training run starts from: choose another folder with '
            f'{option("work_dir", ...)}')
    if replaced and not force:
        raise UserError(
            f'{str(replaced[0].parent)!r} holds {replaced[0].name} of another '
            f'training run: resume that with {option("resume", ...)} and its '
            'own config, choose another folder with '
            f'{option("work_dir", ...)}, or pass {option("force")} to remove '
            'what this one replaces')


def remove_earlier_run(cfg: Config, step: float | None) -> None:
    """Remove what :func:`check_work_dir_unused` refuses to replace."""
    if not is_main_process():
        return
    for path in _replaced(cfg, step):
        path.unlink()
        say(f'removed {path} of an earlier training run')
    Path(cfg.work_dir, 'last_checkpoint').unlink(missing_ok=True)


def _replaced(cfg: Config, step: float | None) -> list[Path]:
    found = [
        path for number, path in saved_checkpoints(cfg)
        if step is None or number > step
    ]
    if step is None:
        work_dir = Path(os.path.abspath(cfg.work_dir))
        found += sorted(folder_of(cfg).glob('best_*.pth'))
        # With an out_dir, others may have left theirs beside the config.
        if work_dir != folder_of(cfg):
            found += [path for _, path in numbered_checkpoints(work_dir)]
            found += sorted(work_dir.glob('best_*.pth'))
    # Of two configs, nobody could tell which one a checkpoint belongs to.
    own = config_of_run(cfg)
    return found + [
        path for path in sorted(own.parent.glob('*.py'))
        if path.name != own.name and _is_marked(path)
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


def write_training_config(cfg: Config, **asked: Any) -> None:
    """Write the config of a training run into its work folder.

    ``asked`` are settings as they were before the run resolved them.
    """
    recorded = copy.deepcopy(cfg)
    recorded.update(asked)
    with atomic_write(config_of_run(cfg), force=True) as temporary:
        temporary.write_text(_MARK + recorded.pretty_text, encoding='utf-8')


def write_test_config(cfg: Config, log_dir: str | Path) -> None:
    """Write the config of a test into the folder of its log."""
    path = Path(log_dir, config_of_run(cfg).name)
    with atomic_write(path, force=True) as temporary:
        temporary.write_text(cfg.pretty_text, encoding='utf-8')


def config_beside(checkpoint: str | Path) -> Path:
    """Find the config file that belongs to a checkpoint.

    It has the checkpoint's own stem, ``deploy.py`` for ``deploy.pth``; else
    it is the one that a training run left in the folder. Raise ConfigError if
    there is none, or more than one.
    """
    path = Path(os.path.expanduser(checkpoint))
    if path.with_suffix('.py').is_file():
        return path.with_suffix('.py')
    found = ([] if str(checkpoint).startswith(WEB) else _training_configs(
        path.parent))
    if len(found) == 1:
        return found[0]
    names = first_few([file.name for file in found])
    raise ConfigError(
        f'no config is named, and beside checkpoint {quote_path(checkpoint)} '
        f'there {f"are several ({names})" if found else "is none"}: name the '
        'config before the checkpoint')


def check_pair_writable(checkpoint: str | Path,
                        force: bool = False,
                        *sources: str | Path | None) -> None:
    """Raise UserError if a checkpoint or its config cannot be written."""
    path = Path(checkpoint)
    check_writable(checkpoint, force, *sources)
    is_numbered = re.fullmatch(r'(epoch|iter)_[0-9]+\.pth', path.name)
    if is_numbered and _training_configs(path.parent):
        raise UserError(
            f'{str(checkpoint)!r} would be taken for a checkpoint of the '
            'training run in that folder: choose another name')
    check_config_writable(path.with_suffix('.py'), force, *sources)


def check_config_writable(path: str | Path,
                          force: bool = False,
                          *sources: str | Path | None) -> None:
    """Raise UserError as :func:`check_writable`, and for training's config."""
    check_writable(path, force, *sources)
    if _is_marked(Path(path)):
        raise UserError(
            f'{str(path)!r} is the config of a training run, and would be '
            'overwritten: choose another name')


def write_config_beside(cfg: Config,
                        checkpoint: str | Path,
                        force: bool = False) -> Path:
    """Write a config under the stem of the checkpoint that it belongs to."""
    path = Path(checkpoint).with_suffix('.py')
    with atomic_write(path, force) as temporary:
        temporary.write_text(cfg.pretty_text, encoding='utf-8')
    return path


def config_of_run(cfg: Config) -> Path:
    """Return the path of the config that a training run writes."""
    return Path(cfg.work_dir, Path(cfg.filename or 'config').stem + '.py')


def _training_configs(folder: Path) -> list[Path]:
    """List the configs of training runs in a folder, ours before the host's.

    The host's own tools leave no mark: there it is a dumped config without a
    checkpoint of its stem.
    """
    files = sorted(folder.glob('*.py'))
    return [*filter(_is_marked, files)] or [
        file for file in files if _is_dumped(file) and not any(
            file.with_suffix(suffix).is_file()
            for suffix in CHECKPOINT_SUFFIXES)
    ]


def _is_marked(path: Path) -> bool:
    try:
        with open(path, encoding='utf-8') as file:
            return file.readline() == _MARK
    except (OSError, ValueError):
        return False


def _is_dumped(path: Path) -> bool:
    """Return whether a file is as mmengine dumps it: only assignments."""
    try:
        text = path.read_text(encoding='utf-8')
        statements = ast.parse(text).body
    except (OSError, SyntaxError, ValueError):
        return False
    names = {
        ast.unparse(statement.targets[0])
        for statement in statements if isinstance(statement, ast.Assign)
    }
    # Somebody wrote a comment, or what is inherited.
    is_written = '_base_' in names or re.search('^ *#', text, re.MULTILINE)
    return (len(names) == len(statements) and 'model' in names
            and not is_written)
