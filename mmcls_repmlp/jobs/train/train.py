"""Train the model of a config."""
from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner

from mmcls_repmlp.checkpoints import class_names
from mmcls_repmlp.jobs.shared.config import read_config, set_launcher
from mmcls_repmlp.jobs.shared.data import (build_loop, data_errors,
                                           set_loader_defaults)
from mmcls_repmlp.jobs.shared.labels import (check_checkpoint_classes,
                                             check_classes)
from mmcls_repmlp.jobs.shared.runner import (build_runner, report_to_console,
                                             summarize_training)
from mmcls_repmlp.jobs.shared.unread_settings import warn_of_unmatched_keys
from mmcls_repmlp.jobs.shared.work_dir import (check_work_dir_unused,
                                               lock_work_dir,
                                               remove_earlier_run,
                                               set_work_dir,
                                               write_training_config)
from mmcls_repmlp.recipe import make_gradients_contiguous, seed_loader
from repmlp_lite.console import say, warn
from repmlp_lite.errors import (ImageError, JobFailedError, UserError,
                                describe, option)
from repmlp_lite.signals import interrupt_cause

from .check_images import check_images
from .curves import write_curves
from .dry_run import dry_run
from .own_folder import use_folder
from .plain_options import set_plain_options
from .pretrained import check_pretrained, fetch_pretrained
from .resume import (RecordDataHook, Start, check_start, explain_finished,
                     find_start, load_training_state, newest_name,
                     warn_of_other_data)
from .schedules import NewScheduleHook, shorten_schedules


def train(config: str | Path,
          work_dir: str | None = None,
          *,
          resume: str | None = None,
          new_schedule: bool = False,
          amp: bool = False,
          auto_scale_lr: bool = False,
          no_validate: bool = False,
          cfg_options: Mapping[str, Any] | None = None,
          launcher: str = 'none',
          seed: int | None = None,
          epochs: int | None = None,
          batch_size: int | None = None,
          lr: float | None = None,
          workers: int | None = None,
          check_data: bool = False,
          force: bool = False,
          data: str | Path | None = None,
          verbose: bool = True) -> BaseModel:
    """Train the model of a config and validate it as the config says.

    Args:
        config: Path of the config.
        work_dir: Folder of logs and checkpoints. Defaults to the config's, or
            ``work_dirs/NAME_OF_CONFIG``.
        resume: Checkpoint to resume from, or 'auto' for the newest intact one
            in the work folder. Defaults to None: start over.
        new_schedule: Whether a resumed run follows the learning rate, weight
            decay and schedules of the config, not those of the checkpoint.
            Defaults to False: if they differ, it is refused.
        amp: Whether to train in mixed precision: float16 on a GPU,
            bfloat16 on a CPU. Defaults to False.
        auto_scale_lr: Whether to scale the learning rate with the batch size.
            Defaults to False.
        no_validate: Whether to skip validation. Defaults to False.
        cfg_options: Settings to change in the config, by dotted key. Defaults
            to none.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'. Defaults to 'none'.
        seed: Seed of all random numbers. Defaults to the config's.
        epochs: As of :func:`set_plain_options`. Defaults to the config's.
        batch_size: As of :func:`set_plain_options`.
        lr: As of :func:`set_plain_options`.
        workers: As of :func:`set_plain_options`.
        check_data: Whether to read all images before the first step. Defaults
            to False.
        force: Whether checkpoints of another training run in the work folder
            may be removed. Defaults to False.
        data: Folder of photos, a subfolder for each class, to use in place of
            the config's data. Defaults to None.
        verbose: Whether to print the full log, or else a summary, a progress
            bar and the results. Defaults to True.

    Returns:
        The trained model.

    Raises:
        UserError: If the config, its data or a checkpoint is not usable, or
            the work folder is in use.
        JobFailedError: If images cannot be read or training fails; the
            message names the last whole checkpoint.
    """
    cfg = read_config(config, cfg_options)
    set_plain_options(cfg, epochs, batch_size, lr, workers)
    set_work_dir(cfg, config, work_dir or (cfg_options or {}).get('work_dir'))
    if data is not None:
        use_folder(cfg, data, cfg_options or ())
    if no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if seed is not None:
        cfg.randomness = {**cfg.get('randomness', {}), 'seed': seed}
    if auto_scale_lr:
        _enable_auto_scale_lr(cfg)
    elif 'auto_scale_lr.base_batch_size' in (cfg_options or {}):
        warn(f'warning: {option("cfg_options", "auto_scale_lr...")} has no '
             f'effect without {option("auto_scale_lr")}')
    if amp:
        _enable_amp(cfg)
    _add_loss_check(cfg)
    shorten_schedules(cfg)
    asked = {key: cfg.get(key) for key in ('load_from', 'resume')}
    start = find_start(cfg, resume)
    # Checkpoints later than the newest intact one are damaged.
    check_work_dir_unused(cfg, math.inf if start.newest else start.step(cfg),
                          force)
    pretrained = fetch_pretrained(cfg.model)
    set_loader_defaults(cfg)
    set_launcher(cfg, launcher)
    with lock_work_dir(cfg.work_dir):
        runner = build_runner(cfg, verbose)
        check_pretrained(runner.model, pretrained)
        finished = _prepare(runner, start, check_data, force, new_schedule,
                            asked)
        del start  # mmengine reads the file again, to the right device
        with report_to_console(runner, summarize_training):
            model = _run(runner)
            newest = newest_name(cfg)
            if finished or newest:
                say(finished or f'the last checkpoint is {newest}')
        return model


def _prepare(runner: Runner, start: Start, check_data: bool, force: bool,
             new_schedule: bool, asked: Mapping[str, Any]) -> str:
    """Check all, write the config; return a sentence if nothing is left."""
    if start.note:
        say(start.note)
    check_start(runner, start)
    if new_schedule:
        _follow_config(runner, start)
    if runner.distributed:
        make_gradients_contiguous(runner.model)
    _seed_training(runner)
    build_loop(runner, 'train')
    runner.register_hook(RecordDataHook())
    warn_of_other_data(runner, start)
    warn_of_unmatched_keys(runner.cfg, runner.model)
    if runner.cfg.get('val_dataloader') is not None:
        build_loop(runner, 'val')
    check_classes(runner)
    check_checkpoint_classes(runner, class_names(start.content), start.resumes)
    if check_data:
        check_images(runner)
    finished = explain_finished(runner, start)
    if not finished:
        with _image_hint():
            dry_run(runner, (lambda copied: load_training_state(
                copied, start, new_schedule)) if start.resumes else None)
        # Only now: the config of a refused or finished run does not count.
        write_training_config(runner.cfg, **asked)
    if force:
        remove_earlier_run(runner.cfg, start.step(runner.cfg))
    return finished


@contextmanager
def _image_hint() -> Iterator[None]:
    try:
        yield
    except ImageError as error:
        raise ImageError(f'{error}; {option("check_data")} names all such '
                         'images before the first step') from error


def _follow_config(runner: Runner, start: Start) -> None:
    if start.resumes:
        runner.register_hook(NewScheduleHook())
    else:
        warn(f'warning: {option("new_schedule")} has no effect, as nothing is '
             'resumed')


def _run(runner: Runner) -> BaseModel:
    try:
        with _image_hint():
            return runner.train()
    except UserError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        newest = newest_name(runner.cfg)
        last = (f'{newest} is the last whole checkpoint, '
                f'{option("resume", ...)} continues from it'
                if newest else 'no checkpoint was saved yet')
        stop = (
            error if isinstance(error, KeyboardInterrupt) else
            interrupt_cause(error))
        if stop is not None:
            raise type(stop)(last) from None
        if isinstance(error, JobFailedError):
            raise JobFailedError(f'{error}; {last}') from error.__cause__
        raise JobFailedError(f'training failed in iteration {runner.iter + 1}:'
                             f' {describe_failure(error)}; {last}') from error
    finally:
        write_curves(runner.work_dir)


def describe_failure(error: BaseException) -> str:
    """Describe what ended a training run, with the remedy if it is known."""
    if 'find_unused_parameters' not in str(error):
        return describe(error)
    # torch names this remedy in its fourth sentence, as an argument of DDP.
    return ('some parameters do not take part in the loss, which training in '
            'several processes must be told: set find_unused_parameters=True '
            'in the config')


def _add_loss_check(cfg: Config) -> None:
    # Whatever the config inherits from: an infinite loss ends a training run.
    hook, hooks = dict(type='CheckInvalidLossHook'), cfg.get('custom_hooks')
    if hook['type'] not in [other.get('type') for other in hooks or ()]:
        cfg.custom_hooks = [*(hooks or ()), hook]


def _seed_training(runner: Runner) -> None:
    """Build a loader to resume exactly, before its loop, which may load."""
    with data_errors(runner.cfg, 'train'):
        loader = runner.build_dataloader(
            runner._train_dataloader,
            seed=runner.seed,
            diff_rank_seed=runner._randomness_cfg.get('diff_rank_seed', False))
    seed_loader(loader, runner.seed)
    runner._train_dataloader = loader


def _enable_auto_scale_lr(cfg: Config) -> None:
    if not cfg.get('auto_scale_lr', {}).get('base_batch_size'):
        raise UserError(
            f'{option("auto_scale_lr")} needs the batch size that the '
            'learning rate was chosen for: set '
            'auto_scale_lr.base_batch_size in the config')
    cfg.auto_scale_lr.enable = True


def _enable_amp(cfg: Config) -> None:
    wrapper = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if wrapper not in ('OptimWrapper', 'AmpOptimWrapper',
                       'CpuAmpOptimWrapper'):
        raise UserError(
            f'{option("amp")} does not go with the optimizer wrapper '
            f'{wrapper!r} of the config: only with OptimWrapper')
    if torch.cuda.is_available():
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
        return
    for name in ('loss_scale', 'dtype'):  # of a config that is for GPUs
        cfg.optim_wrapper.pop(name, None)
    cfg.optim_wrapper.type = 'CpuAmpOptimWrapper'
