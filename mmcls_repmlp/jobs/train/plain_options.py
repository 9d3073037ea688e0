"""Settings that users change daily, by plain names."""
from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from mmengine.config import Config

from repmlp_lite.errors import UserError, option

# Settings that say the same as an option.
_SAME = dict(
    epochs=r'train_cfg\.max_epochs',
    batch_size=r'\w+_dataloader\.batch_size',
    lr=r'optim_wrapper\.optimizer\.lr',
    workers=r'\w+_dataloader\.num_workers',
    seed=r'randomness\.seed')
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def set_plain_options(
    cfg: Config,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    workers: int | None = None,
    seed: int | None = None,
    options: Collection[str] = ()) -> None:
    """Set each option, if given, with all that hangs on it.

    Args:
        cfg: The config, which is changed.
        epochs: Length of the training run, and of schedules as long as it.
        batch_size: Images per process in a batch, of all data loaders.
        lr: Learning rate, before any scaling.
        workers: Processes that each data loader has, 0 for none.
        seed: Seed of all random numbers.
        options: Dotted keys of the settings that the user changed.

    Raises:
        UserError: If a value makes no sense, the config has no place for it,
            or one of ``options`` sets the same.
    """
    _check_once(
        options,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        workers=workers,
        seed=seed)
    for name, value, least in (('epochs', epochs, 1),
                               ('batch_size', batch_size, 1), ('workers',
                                                               workers, 0)):
        if value is not None and value < least:
            raise UserError(f'{option(name, value)} is too small: give at '
                            f'least {least}')
    if epochs is not None:
        _set_epochs(cfg, epochs)
    if lr is not None:
        _set_rate(cfg, lr)
    if seed is not None:
        cfg.randomness = {**cfg.get('randomness', {}), 'seed': seed}
    settings = dict(
        batch_size=batch_size,
        num_workers=workers,
        persistent_workers=None if workers is None else workers > 0)
    for loader in filter(None, map(cfg.get, _LOADERS)):
        loader.update({
            name: value
            for name, value in settings.items() if value is not None
        })


def _check_once(options: Collection[str], **given: object) -> None:
    for name, value in given.items():
        same = [key for key in options if re.fullmatch(_SAME[name], key)]
        if value is not None and same:
            raise UserError(f'{option(name, value)} and the setting '
                            f'{same[0]!r} say the same: give one of them')


def _set_epochs(cfg: Config, epochs: int) -> None:
    before = (cfg.get('train_cfg') or {}).get('max_epochs')
    if before is None:
        raise UserError(
            f'{option("epochs", epochs)} is for configs that count epochs, '
            'and this one counts iterations: set train_cfg.max_iters with '
            f'{option("cfg_options", ...)}')
    cfg.train_cfg.max_epochs = epochs
    schedules: Any = cfg.get('param_scheduler') or []
    for schedule in [schedules] if 'type' in schedules else schedules:
        if not schedule.get('by_epoch', True):
            continue
        begin = schedule.get('begin', 0)
        if schedule.get('T_max') in (before, before - begin):
            schedule['T_max'] += epochs - before
        if schedule.get('end') == before:
            schedule['end'] = epochs
        if 'milestones' in schedule:
            schedule['milestones'] = sorted({
                max(1, round(place * epochs / before))
                for place in schedule['milestones']
            })


def _set_rate(cfg: Config, lr: float) -> None:
    optimizer = (cfg.get('optim_wrapper') or {}).get('optimizer')
    if not isinstance(optimizer, Mapping) or not lr > 0:
        raise UserError(
            f'{option("lr", lr)} cannot be set: give a positive number, and '
            'a config with optim_wrapper.optimizer')
    cfg.optim_wrapper.optimizer.lr = lr
