"""Train the model of a config."""
from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.hooks import CheckpointHook
from mmengine.model import BaseModel
from mmengine.runner import Runner

from mmcls_repmlp.checkpoints import class_names
from mmcls_repmlp.jobs.shared.config import read_config, set_launcher
from mmcls_repmlp.jobs.shared.data import (build_loop, data_errors,
                                           set_loader_defaults)
from mmcls_repmlp.jobs.shared.device import choose_device
from mmcls_repmlp.jobs.shared.labels import (check_checkpoint_classes,
                                             check_classes)
from mmcls_repmlp.jobs.shared.own_folder import use_folder
from mmcls_repmlp.jobs.shared.runner import (build_runner, report_to_console,
                                             summarize_training)
from mmcls_repmlp.jobs.shared.unread_settings import warn_of_unmatched_keys
from mmcls_repmlp.jobs.shared.work_dir import (check_work_dir_unused,
                                               config_of_run, lock_work_dir,
                                               remove_earlier_run,
                                               saved_checkpoints, set_work_dir,
                                               write_training_config)
from mmcls_repmlp.jobs.testing.test import test
from mmcls_repmlp.recipe import make_gradients_contiguous, seed_loader
from repmlp_lite.console import say, warn
from repmlp_lite.errors import (ImageError, JobFailedError, UserError,
                                describe, option)
from repmlp_lite.signals import interrupt_cause

from .check_images import check_images
from .curves import write_curves
from .dry_run import dry_run
from .image_size import set_image_size
from .modes import set_modes
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
          no_test: bool = False,
          cfg_options: Mapping[str, Any] | None = None,
          launcher: str = 'none',
          seed: int | None = None,
          epochs: int | None = None,
          batch_size: int | None = None,
          lr: float | None = None,
          workers: int | None = None,
          img_size: Sequence[int] | None = None,
          device: str | None = None,
          pictures: bool = True,
          check_data: bool = False,
          force: bool = False,
          data: str | Path | None = None,
          verbose: bool = True) -> BaseModel:
    """Train the model of a config, validate it as the config says, test it.

    The best or last checkpoint is tested at the end, as :func:`test` does, if
    the config has a test set. ``curves.png`` in the work folder shows the
    whole training run, through stops.

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
        no_test: Whether to skip the test at the end. Defaults to False.
        cfg_options: Settings to change in the config, by dotted key. Defaults
            to none.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'. Defaults to 'none'.
        seed: Seed of all random numbers. Defaults to the config's.
        epochs: As of :func:`set_plain_options`. Defaults to the config's.
        batch_size: As of :func:`set_plain_options`.
        lr: As of :func:`set_plain_options`.
        workers: As of :func:`set_plain_options`.
        img_size: Height and width of the images, see :func:`set_image_size`;
            weights to start from are resized. Defaults to the config's.
        device: 'cpu', 'cuda' or 'cuda:N'. Defaults to a GPU if there is one.
        pictures: Whether pictures are drawn. Defaults to True.
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
    options = cfg_options or {}
    cfg = read_config(config, options)
    on_gpu = choose_device(cfg, device, launcher)
    set_plain_options(cfg, epochs, batch_size, lr, workers, seed, options)
    set_work_dir(cfg, config, work_dir or options.get('work_dir'))
    resized = set_image_size(cfg, img_size)
    if data is not None:
        use_folder(cfg, data, options)
    set_modes(cfg, amp, auto_scale_lr, no_validate, on_gpu, options)
    shorten_schedules(cfg)
    start = find_start(cfg, resume, resized)
    pretrained = fetch_pretrained(cfg.model, resized)
    # Checkpoints later than the newest intact one are damaged.
    check_work_dir_unused(cfg, math.inf if start.newest else start.step(cfg),
                          force, [start.source, *pretrained])
    set_loader_defaults(cfg)
    set_launcher(cfg, launcher)
    has_test = not no_test and cfg.get('test_dataloader') is not None
    known = saved_checkpoints(cfg)
    with lock_work_dir(cfg.work_dir):
        if saved_checkpoints(cfg) != known:
            raise UserError('another training run has saved checkpoints in '
                            f'{cfg.work_dir!r} meanwhile: start again')
        runner = build_runner(cfg, verbose, on_gpu)
        check_pretrained(runner.model, pretrained)
        _prepare(runner, start, new_schedule, has_test)
        if check_data:
            check_images(runner)
        finished = explain_finished(runner, start)
        if not finished:
            _try_steps(runner, start, new_schedule, has_test)
            # Only now: the config of a refused or finished run does not count.
            write_training_config(cfg, **start.asked)
            resized.write()
        if force and not finished:
            remove_earlier_run(cfg, start.step(cfg))
        del start  # mmengine reads the file again, to the right device
        with report_to_console(runner, summarize_training):
            model = _run(runner, pictures)
            newest = newest_name(cfg)
            say(
                finished or (f'the last checkpoint is {newest}'
                             if newest else 'no checkpoint was saved'))
    if has_test and newest and not finished:
        _test(runner, newest, device, pictures, verbose)
    return model


def _test(runner: Runner, newest: str, device: str | None, pictures: bool,
          verbose: bool) -> None:
    """Test the best checkpoint of a training run, or else the newest."""
    best = [
        str(hook.best_ckpt_path) for hook in runner.hooks
        if isinstance(hook, CheckpointHook)
        and Path(getattr(hook, 'best_ckpt_path', None) or '').is_file()
    ]
    checkpoint = best[0] if best else newest
    try:
        test(
            config_of_run(runner.cfg),
            checkpoint,
            work_dir=runner.work_dir,
            launcher=runner.cfg.launcher,
            device=device,
            pictures=pictures,
            verbose=verbose,
            brief=True)
    except (UserError, JobFailedError) as error:
        raise JobFailedError(
            f'the training run is done, but the test of {checkpoint} failed: '
            f'{error}') from error


def _prepare(runner: Runner, start: Start, new_schedule: bool,
             has_test: bool) -> None:
    """Build all loops and check what can be checked without a step."""
    if start.note:
        say(start.note)
    check_start(runner, start)
    if new_schedule:
        _follow_config(runner, start)
    if runner.distributed:
        make_gradients_contiguous(runner.model)
    _seed_training(runner)
    for phase in ('train', 'val', 'test'):
        if runner.cfg.get(f'{phase}_dataloader') is not None and (
                phase != 'test' or has_test):
            build_loop(runner, phase)
    runner.register_hook(RecordDataHook())
    warn_of_other_data(runner, start)
    warn_of_unmatched_keys(runner.cfg, runner.model)
    check_classes(runner)
    check_checkpoint_classes(runner, class_names(start.content), start.resumes)


def _try_steps(runner: Runner, start: Start, new_schedule: bool,
               has_test: bool) -> None:
    load_state = partial(
        load_training_state, start=start, new_schedule=new_schedule)
    with _image_hint():
        dry_run(runner, load_state if start.resumes else None, has_test)


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


def _run(runner: Runner, pictures: bool) -> BaseModel:
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
        if pictures:
            write_curves(runner.work_dir)


def describe_failure(error: BaseException) -> str:
    """Describe what ended a training run, with the remedy if it is known."""
    if 'find_unused_parameters' not in str(error):
        return describe(error)
    # torch names this remedy in its fourth sentence, as an argument of DDP.
    return ('some parameters do not take part in the loss, which training in '
            'several processes must be told: set find_unused_parameters=True '
            'in the config')


def _seed_training(runner: Runner) -> None:
    """Build a loader to resume exactly, before its loop, which may load."""
    with data_errors(runner.cfg, 'train'):
        loader = runner.build_dataloader(
            runner._train_dataloader,
            seed=runner.seed,
            diff_rank_seed=runner._randomness_cfg.get('diff_rank_seed', False))
    seed_loader(loader, runner.seed)
    runner._train_dataloader = loader
