"""Choice and checks of the checkpoint that a training run starts from."""
from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import IterBasedTrainLoop, Runner

from mmcls_repmlp.checkpoints import (check_fit, local_file, meta_of,
                                      read_checkpoint, state_dict_of)
from mmcls_repmlp.jobs.shared.data import describe_data
from mmcls_repmlp.jobs.shared.model import unwrap
from mmcls_repmlp.jobs.shared.work_dir import (folder_of, hook_config,
                                               saved_checkpoints)
from mmcls_repmlp.models.local_layers import with_own_branches
from mmcls_repmlp.recipe import BATCHES_PER_EPOCH_KEY
from repmlp_lite.command_line.choices import LATEST
from repmlp_lite.console import say, warn
from repmlp_lite.errors import CheckpointError, option, printable, translate

from .image_size import ResizedWeights
from .schedules import compare_settings, plain_state, settings_of

_DATA_KEY = 'train_data'  # of a checkpoint's meta


class RecordDataHook(Hook):
    """Hook that records in checkpoints which data they were trained on."""

    def before_save_checkpoint(self, runner: Runner,
                               checkpoint: dict[str, Any]) -> None:
        """Record the description that a resumed run compares."""
        checkpoint['meta'][_DATA_KEY] = describe_data(
            runner.train_dataloader.dataset)


@dataclass(frozen=True)
class Start:
    """Starting point of a training run."""
    source: str | None = None  # path or URL of a checkpoint
    content: Any = None  # of the checkpoint
    resumes: bool = False  # otherwise only its weights are used
    note: str = ''  # for the user, on the choice
    # Settings of the config as they were asked for.
    asked: Mapping[str, Any] = field(default_factory=dict)
    newest: bool = False  # whether it is the newest intact one of its folder

    def step(self, cfg: Config) -> int | None:
        """Return the epoch or iteration to resume from, or None.

        None too if it is from another folder: then all in this one is of
        another training run.
        """
        unit = 'epoch' if hook_config(cfg).get('by_epoch', True) else 'iter'
        if not self.resumes or Path(str(
                self.source)).resolve().parent != folder_of(cfg).resolve():
            return None
        return meta_of(self.content)[unit]


def find_start(cfg: Config,
               resume: str | None,
               resized: ResizedWeights | None = None) -> Start:
    """Read the checkpoint that a training run starts from; set it in cfg.

    ``resume`` is a checkpoint, 'auto' for the newest intact one in the work
    folder, or None to follow the config. ``resized`` fits weights to another
    image size, where none is resumed. Raise CheckpointError if it cannot be
    read, or has no training state to resume from.
    """
    asked = {key: cfg.get(key) for key in ('load_from', 'resume')}
    if resume is None and cfg.get('resume'):
        resume = cfg.get('load_from') or LATEST
    start = Start()
    if resume == LATEST:
        start = _find_newest(cfg)
    elif resume is not None:
        start = Start(resume, read_checkpoint(resume), resumes=True)
    elif cfg.get('load_from'):
        start = Start(cfg.load_from, read_checkpoint(cfg.load_from))
    cfg.resume = start.resumes
    cfg.load_from = start.source and str(local_file(start.source))
    start = replace(start, asked=asked)
    if not start.resumes:
        return _resize(cfg, start, resized or ResizedWeights())
    meta = _training_meta(start)
    _use_seed(cfg, meta.get('seed'))
    if BATCHES_PER_EPOCH_KEY in meta:
        return start
    return replace(
        start,
        note=f'{start.note or start.source}: not saved by '
        'ReproducibleSeedHook, so the resumed run uses other random numbers')


def _resize(cfg: Config, start: Start, resized: ResizedWeights) -> Start:
    if start.source is None:
        return start
    content, path = resized.fit(start.content, cfg.load_from)
    if content is start.content:
        return start
    cfg.load_from = path
    return Start(path, content, asked={**start.asked, 'load_from': path})


def _use_seed(cfg: Config, seed: Any) -> None:
    # The order of samples is fixed when loaders are built, which is before
    # mmengine takes the seed over.
    if isinstance(seed, int):
        asked = cfg.get('randomness', {}).get('seed')
        if asked not in (None, seed):
            warn(f'seed {seed} of the checkpoint is used, not {asked}')
        cfg.randomness = {**cfg.get('randomness', {}), 'seed': seed}


def _find_newest(cfg: Config) -> Start:
    damaged = []
    for _, path in saved_checkpoints(cfg):
        try:
            # Only damaged files are skipped. An intact file of another model
            # means that another run uses this folder, see check_start.
            content = read_checkpoint(path)
        except CheckpointError as error:
            damaged.append((path, error))
            continue
        names = ', '.join(path.name for path, _ in damaged)
        note = (f'resuming from {path}, the newest intact checkpoint' +
                f'; skipped as damaged: {names}' * bool(names))
        return Start(str(path), content, True, note, newest=True)
    if damaged:
        raise CheckpointError(
            f'none of the {len(damaged)} checkpoints in '
            f'{str(folder_of(cfg))!r} can be read, so there is nothing '
            f'to resume from: name another with {option("resume", "FILE")}, '
            f'or start over with {option("force")} and without '
            f'{option("resume", ...)} (of the newest: {damaged[0][1]})')
    return Start(note=f'there is no checkpoint in {str(folder_of(cfg))!r} to '
                 'resume from: training starts over')


def _training_meta(start: Start) -> Mapping[str, Any]:
    content, meta = start.content, meta_of(start.content)
    if not isinstance(content, Mapping) or not all(
            isinstance(content.get(key), Mapping)
            for key in ('optimizer', 'message_hub')) or not all(
                isinstance(value, Mapping)
                for value in content['message_hub'].values()) or not all(
                    type(meta.get(key)) is int and 0 <= meta[key] < 2**40
                    for key in ('epoch', 'iter')):
        raise CheckpointError(
            f'checkpoint {start.source!r} has no training state to resume '
            'from: to start from its weights, set load_from with '
            f'{option("cfg_options", ...)} instead')
    return meta


def warn_of_other_data(runner: Runner, start: Start) -> None:
    """Warn if a run is resumed with other training data than before."""
    before = str(meta_of(start.content).get(_DATA_KEY, ''))
    data = describe_data(runner.train_dataloader.dataset)
    if start.resumes and before not in ('', data):
        warn(f'warning: the resumed run goes on with other training data: '
             f'{data}; before it was {printable(before)}')


def check_start(runner: Runner, start: Start) -> None:
    """Raise CheckpointError if weights do not fit the model exactly."""
    if start.source is not None:
        weights = state_dict_of(start.content, start.source)
        model = unwrap(runner.model)
        if not start.resumes:
            weights = {**with_own_branches(model, weights)}
        check_fit(model, weights, start.source)


def explain_finished(runner: Runner, start: Start) -> str:
    """Return a sentence if nothing is left to train, or else ''."""
    if not start.resumes:
        return ''
    loop, meta = runner.train_loop, meta_of(start.content)
    done, wanted, unit = ((meta['iter'], loop.max_iters, 'iterations')
                          if isinstance(loop, IterBasedTrainLoop) else
                          (meta['epoch'], loop.max_epochs, 'epochs'))
    return '' if done < wanted else (
        f'{start.source} is from a finished training run: {done} {unit} '
        f'of {wanted} in train_cfg are done, nothing is left to do')


def load_training_state(runner: Runner,
                        start: Start,
                        new_schedule: bool = False) -> None:
    """Load the state of the optimizer, and check that of the schedules.

    PyTorch and mmengine silently load states of other kinds, and then fail in
    the first step or use the entries that fit; they also keep learning rates
    and schedules that the config no longer has. Raise CheckpointError, unless
    ``new_schedule`` says that those of the config are wanted.
    """
    asked = settings_of(runner)
    message = (f'checkpoint {start.source!r} is from a training run with '
               'another {}: resume it with the {} it was trained with, or '
               'start from its weights with '
               f'{option("cfg_options", "load_from=FILE")}')
    wrapper, ours = runner.optim_wrapper, runner.param_schedulers
    wrappers = ([*wrapper.values()]
                if isinstance(wrapper, OptimWrapperDict) else [wrapper])
    groups = [part.optimizer.param_groups for part in wrappers]
    with translate(CheckpointError,
                   message.format('optimizer', 'optim_wrapper'), ValueError,
                   TypeError, LookupError, AttributeError, AssertionError):
        wrapper.load_state_dict({**start.content['optimizer']})
        for part, before in zip(wrappers, groups):
            _check_groups(before, part.optimizer.param_groups)
    saved = start.content.get('param_schedulers')
    if isinstance(ours, list) and saved is not None and not new_schedule:
        if len(ours) != len(saved) or any(
                plain_state(schedule).keys() != state.keys()
                for schedule, state in zip(ours, saved)):
            raise CheckpointError(
                message.format('schedule', 'param_scheduler'))
        for schedule, state in zip(ours, saved):
            schedule.load_state_dict(copy.deepcopy(state))
    kept, batches = settings_of(runner), meta_of(
        start.content).get(BATCHES_PER_EPOCH_KEY)
    if batches is not None:
        kept['iterations per epoch'] = [batches]
        asked['iterations per epoch'] = [len(runner.train_dataloader)]
    changes = compare_settings(asked, kept)
    if changes and new_schedule:
        say(f'from here on the training run has {changes}')
    elif changes:
        raise CheckpointError(
            f'the config asks for {changes}, and resuming from '
            f'{start.source!r} would keep the latter: pass '
            f'{option("new_schedule")} to follow the config from here on, or '
            'leave these settings as they were')


def _check_groups(before: list[dict], loaded: list[dict]) -> None:
    # PyTorch fills in options that are newer than the checkpoint.
    for ours, theirs in zip(before, loaded):
        missing = {*ours} - {*theirs}
        if missing:
            raise ValueError(f'it has no {", ".join(sorted(missing))}')
        # Adam and AdamW have options of the same names.
        if ours.get('decoupled_weight_decay') != theirs.get(
                'decoupled_weight_decay'):
            raise ValueError('decoupled_weight_decay differs')


def newest_name(cfg: Config) -> str:
    """Return the path of the newest checkpoint, or '' if there is none."""
    return next((str(path) for _, path in saved_checkpoints(cfg)), '')
