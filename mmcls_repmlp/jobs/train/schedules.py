"""Schedules of training runs that are short, or resumed with other ones."""
from __future__ import annotations

import copy
import warnings
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner

from mmcls_repmlp.recipe import BATCHES_PER_EPOCH_KEY
from repmlp_lite.console import say

# Entries of the states of optimizers and schedulers that training changes.
_PROGRESS = ('params', 'param_names', 'lr', 'last_step', '_global_step',
             '_last_value', 'base_values', 'verbose', 'best', 'num_bad_epochs',
             'cooldown_counter')


def shorten_schedules(cfg: Config) -> None:
    """Fit schedules that begin only after a short training run's end.

    All their places are scaled, so that a warm-up before them takes half of
    the training run; what has no room even then is dropped.
    """
    loop, schedules = cfg.get('train_cfg') or {}, cfg.get('param_scheduler')
    schedules = [schedules] if 'type' in (schedules or ()) else schedules
    unit = 'epochs' if loop.get('by_epoch', 'max_epochs' in loop) else 'iters'
    length = loop.get(f'max_{unit}')
    if not isinstance(schedules, list) or not isinstance(length, int):
        return
    ours = [
        schedule for schedule in schedules
        if schedule.get('by_epoch', True) is (unit == 'epochs')
    ]
    late = [begin for begin in map(_warm_up, ours) if begin >= length]
    if not late:
        return
    for schedule in ours:
        exact = schedule.get('convert_to_iter_based', False)
        for key in {'begin', 'end', 'warmup'} & {*schedule}:
            place = schedule[key] * length / (2 * min(late))
            schedule[key] = place if exact else int(place)
    cfg.param_scheduler = [
        schedule for schedule in schedules if schedule not in ours
        or _warm_up(schedule) < min(length, schedule.get('end', length))
    ]
    say(f'the warm-up of {min(late)} {unit} does not fit into {length}: it is '
        'shortened to half of the training run')


def _warm_up(schedule: dict) -> float:
    return max(schedule.get('begin', 0), schedule.get('warmup') or 0)


def settings_of(runner: Runner) -> dict[str, Any]:
    """Collect what the config decides of optimizers and schedules, by name.

    The training state of a checkpoint replaces them.
    """
    found: dict[str, Any] = {}
    for group in _groups(runner):
        for key in {*group} - {*_PROGRESS}:
            if not key.startswith('initial_'):
                value = group.get(f'initial_{key}', group[key])
                if key == 'betas' and 'initial_momentum' in group:
                    value = value[1:]  # a schedule changes the first
                found.setdefault(key.replace('_', ' '), []).append(value)
        found.setdefault('learning rate',
                         []).append(group.get('initial_lr', group['lr']))
    schedulers: Any = runner.param_schedulers or []
    for schedule in schedulers if isinstance(schedulers, list) else ():
        for key, value in plain_state(schedule).items():
            if key not in _PROGRESS:
                name = f'{key.strip("_")} of {type(schedule).__name__}'
                found.setdefault(name, []).append(value)
    return found


def plain_state(schedule: Any) -> dict[str, Any]:
    """Return the state of a schedule without functions, as it is saved."""
    return {
        key: value
        for key, value in schedule.state_dict().items() if not callable(value)
    }


def compare_settings(asked: dict[str, Any], saved: dict[str, Any]) -> str:
    """Describe the settings that differ; '' if none does."""
    differing = []
    for name in sorted(asked.keys() & saved.keys()):
        pairs = [*zip(asked[name], saved[name])]
        ours, theirs = next((pair for pair in pairs if pair[0] != pair[1]),
                            (None, None))
        if ours != theirs:
            differing.append(f'{name} {ours} instead of {theirs}')
    return ', '.join(differing)


class NewScheduleHook(Hook):
    """Hook that lets a resumed run follow the settings of its config.

    Learning rate, weight decay and schedules are those of a training run with
    this config that has come as far, in epochs.
    """

    def before_run(self, runner: Runner) -> None:
        """Keep what resuming is about to replace."""
        self.groups = [{
            key: copy.deepcopy(value)
            for key, value in group.items() if key != 'params'
        } for group in _groups(runner)]
        self.states = [
            copy.deepcopy(schedule.state_dict())
            for schedule in runner.param_schedulers or ()
        ]
        self.length = len(runner.train_dataloader)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take the length of an epoch that the checkpoint counts in."""
        self.length = checkpoint['meta'].get(BATCHES_PER_EPOCH_KEY,
                                             self.length)

    def before_train(self, runner: Runner) -> None:
        """Put it back, and bring the schedules to where training resumes."""
        for group, kept in zip(_groups(runner), self.groups):
            group.update(kept)
        steps = round(runner.iter * len(runner.train_dataloader) / self.length)
        for schedule, state in zip(runner.param_schedulers or (), self.states):
            schedule.load_state_dict(state)
            with warnings.catch_warnings():
                # Of steps before the first one of the optimizer.
                warnings.simplefilter('ignore')
                for _ in range(runner.epoch if schedule.by_epoch else steps):
                    schedule.step()


def _groups(runner: Runner) -> list[dict[str, Any]]:
    wrapper: Any = runner.optim_wrapper
    wrappers = ([*wrapper.values()]
                if isinstance(wrapper, OptimWrapperDict) else [wrapper])
    return [
        group for part in wrappers for group in part.optimizer.param_groups
    ]
