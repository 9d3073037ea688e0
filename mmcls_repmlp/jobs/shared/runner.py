"""Runner of training and testing, and its reports to the console."""
from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from datetime import timedelta
from io import StringIO
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar

import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.dist import (broadcast_object_list, get_world_size,
                           is_main_process)
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import nn

from mmcls_repmlp.reparam import inject_by_config
from repmlp_lite import console
from repmlp_lite.errors import first_few, pluralize

from .config import config_errors
from .data import describe_data
from .labels import names_of
from .model import unwrap

# Warnings of mmengine about its own code.
_NOISE = ('"FileClient" will be deprecated', '"HardDiskBackend" is the alias',
          'The prefix is not set in metric class')
_FROZEN = 'is skipped since its requires_grad=False'
_WINDOW = 10  # iterations that speed and loss are averaged over


class JobRunner(Runner):
    """Runner that reports through the console and shares no state.

    mmengine identifies loggers, scores and visualizers by the second in which
    a run began, so two short runs in one process would share them.
    """

    verbose: ClassVar[bool] = False
    on_gpu: ClassVar[bool] = True  # if there is one
    _timestamp: str
    _taken: ClassVar[set[str]] = set()

    def build_logger(self, *args: object, **kwargs: object) -> MMLogger:
        """Build the logger and attach it to the console."""
        logger = super().build_logger(*args, **kwargs)
        logger.addFilter(lambda record: not (record.getMessage().startswith(
            _NOISE) or record.getMessage().endswith(_FROZEN)))
        console.attach_log(logger, self.verbose)
        return logger

    def dump_config(self) -> None:
        """Write nothing: jobs write the config after their checks."""

    def setup_env(self, env_cfg: dict[str, Any]) -> None:
        """Set up as mmengine does, and choose an unused log folder."""
        super().setup_env(env_cfg)
        chosen = [self._timestamp]
        if is_main_process():
            for number in itertools.count(2):
                with suppress(FileExistsError):
                    if chosen[0] not in self._taken:
                        Path(self.work_dir, chosen[0]).mkdir()
                        break
                chosen = [f'{self._timestamp}_{number}']
        broadcast_object_list(chosen)
        self._timestamp = chosen[0]
        self._taken.add(self._timestamp)

    def wrap_model(self, model_wrapper_cfg: Any,
                   model: nn.Module) -> nn.Module:
        """Inject locality if the config says so, and wrap as mmengine does.

        mmengine would move any model to a GPU.
        """
        inject_by_config(self.cfg, model)
        if self.on_gpu or self.distributed:
            return super().wrap_model(model_wrapper_cfg, model)
        return revert_sync_batchnorm(model.to('cpu'))

    def scale_lr(self,
                 optim_wrapper: Any,
                 auto_scale_lr: Mapping[str, Any] | None = None) -> None:
        """Scale the learning rate with the images between two steps."""
        if auto_scale_lr and 'base_batch_size' in auto_scale_lr:
            base = auto_scale_lr['base_batch_size'] / accumulated(
                optim_wrapper)
            auto_scale_lr = {**auto_scale_lr, 'base_batch_size': base}
        super().scale_lr(optim_wrapper, auto_scale_lr)

    def build_param_scheduler(self, scheduler: Any) -> Any:
        """Build schedules, without those shorter than an iteration.

        A shortened warm-up ends at a fraction of an epoch.
        """
        if isinstance(scheduler, list):
            length = len(self.train_dataloader)
            scheduler = [
                schedule for schedule in scheduler
                if not (isinstance(schedule, dict)
                        and isinstance(schedule.get('end'), float) and int(
                            schedule['end'] *
                            length) <= int(schedule.get('begin', 0) * length))
            ]
        return super().build_param_scheduler(scheduler)

    def load_checkpoint(self, *args: Any, **kwargs: Any) -> Any:
        """Load a checkpoint without what mmengine prints outside its log."""
        with redirect_stdout(StringIO()):
            return super().load_checkpoint(*args, **kwargs)


def build_runner(config: Config,
                 verbose: bool = True,
                 on_gpu: bool = True) -> JobRunner:
    """Build the runner of a config, or raise ConfigError if it cannot be.

    ``verbose`` shows the whole log on the screen; ``on_gpu`` allows a GPU.
    """
    kind: Any = type('JobRunner', (JobRunner, ),
                     dict(verbose=verbose, on_gpu=on_gpu))
    # A full disk or an I/O error is not a fault of the config.
    with config_errors('the config cannot be built', FileNotFoundError,
                       NotADirectoryError, PermissionError):
        return kind.from_cfg(config)


@contextmanager
def report_to_console(
        runner: Runner, summary: Callable[[Runner],
                                          list[str]]) -> Iterator[None]:
    """Report the summary, progress and results of a runner in the block."""
    runner.register_hook(_ConsoleReportHook(summary))
    try:
        yield
    finally:
        console.close_all()


class _ConsoleReportHook(Hook):
    """Hook that decides which lines training and testing print.

    Validations have a line only if one is due; the last one always has.
    """

    priority = 'LOWEST'  # after the hooks that it reports on

    def __init__(self, summary: Callable[[Runner], list[str]]) -> None:
        self.summary = summary
        self.loss = self.note = self.score = self.pending = ''

    def before_train(self, runner: Runner) -> None:
        console.say(*self.summary(runner))
        self.progress = console.Progress(
            'training', runner.max_iters, done=runner.iter)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any,
                         outputs: Any) -> None:
        seconds, images = _mean(runner, 'train/time'), _count(data_batch)
        speed = f'{images / seconds:.3g} images/s' if seconds else ''
        if 'train/loss' in runner.message_hub.log_scalars:
            self.loss = f'loss {_mean(runner, "train/loss"):.4f}'
        self.note = ', '.join(filter(None, [speed, self.loss, self.score]))
        self.progress.advance(0, self.note)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any,
                       outputs: Any) -> None:
        total = len(runner.val_dataloader)
        self.progress.note = f'validating {batch_idx + 1}/{total}'

    def after_val_epoch(self, runner: Runner, metrics: dict) -> None:
        self.progress.note, self.score = self.note, format_scores(metrics)
        self.pending = ', '.join(
            filter(None, [_position(runner), self.loss, self.score]))
        if self.progress.is_due():
            self._say_pending()

    def after_train(self, runner: Runner) -> None:
        self.progress.close()
        self._say_pending()
        early = getattr(runner.train_loop, 'stop_training', False)
        console.say(f'trained in {self._clock()}' +
                    f', stopped early after {_position(runner)}' * early)

    def before_test(self, runner: Runner) -> None:
        console.say(*self.summary(runner))
        self.progress = console.Progress('testing',
                                         len(runner.test_dataloader))

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any,
                        outputs: Any) -> None:
        self.progress.advance(_count(data_batch))

    def after_test_epoch(self, runner: Runner, metrics: dict) -> None:
        self.progress.close()
        count = len(runner.test_dataloader.dataset)
        console.say(f'tested {count} images in {self._clock()}: '
                    f'{format_scores(metrics) or "no score"}')

    def _say_pending(self) -> None:
        if self.pending:
            console.say(self.pending)
            self.pending = ''

    def _clock(self) -> str:
        seconds = time.monotonic() - self.progress.start
        return str(timedelta(seconds=round(seconds)))


def format_scores(metrics: Mapping[str, Any]) -> str:
    """Format the metrics that are numbers, or lists of one for each class."""
    return ', '.join(f'{name} {_format(value)}'
                     for name, value in metrics.items()
                     if name not in ('time', 'data_time') and _format(value))


def _format(value: Any) -> str:
    if isinstance(value, Real):
        return f'{float(value):.4f}'
    value = getattr(value, 'tolist', lambda: value)()
    if isinstance(value, list) and all(isinstance(x, Real) for x in value):
        return f'[{first_few([f"{x:.4f}" for x in value])}]'
    return ''


def _mean(runner: Runner, name: str) -> float:
    scalars = runner.message_hub.log_scalars
    return float(scalars[name].mean(_WINDOW)) if name in scalars else 0.


def _count(batch: Any) -> int:
    """Count the images of a batch in all processes."""
    inputs: Any = batch.get('inputs') if isinstance(batch, Mapping) else None
    return len(inputs) * get_world_size() if hasattr(inputs, '__len__') else 0


def _position(runner: Runner) -> str:
    if isinstance(runner.train_loop, IterBasedTrainLoop):
        return f'iteration {runner.iter}/{runner.max_iters}'
    return f'epoch {runner.epoch}/{runner.max_epochs}'


def accumulated(optim_wrapper: Any) -> int:
    """Return the number of batches that make one step."""
    return getattr(optim_wrapper, '_accumulative_counts', 1)


def summarize_training(runner: Runner) -> list[str]:
    """Describe the model, data, schedule, device and log of a training run."""
    train, loader = runner.train_dataloader.dataset, runner.train_dataloader
    purpose = ' to train on'
    if runner.val_loop is not None:
        purpose += f', {len(runner.val_dataloader.dataset)} to validate'
    steps = pluralize(runner.max_iters, 'iteration')
    if not isinstance(runner.train_loop, IterBasedTrainLoop):
        steps = (f'{pluralize(runner.max_epochs, "epoch")} of '
                 f'{pluralize(len(loader), "iteration")}')
    batch = getattr(loader.batch_sampler, 'batch_size', 0) * get_world_size()
    start, counts = runner._load_from, accumulated(runner.optim_wrapper)
    return _table(
        runner,
        **_data(train, purpose),
        schedule=f'{steps}, batches of {batch or "several sizes"}' +
        f', {counts} to a step' * (counts > 1),
        optimizer=_optimizer(runner),
        start=f'{"resuming" if runner._resume else "weights of"} {start}'
        if start else 'from new weights',
        seed=runner.seed)


def summarize_test(runner: Runner, checkpoint: object) -> list[str]:
    """Describe the model, data, device and log of a test."""
    test = runner.test_dataloader.dataset
    return _table(runner, weights=checkpoint, **_data(test, ' to test on'))


def _table(runner: Runner, **rows: object) -> list[str]:
    rows = dict(
        model=_model(runner),
        **rows,
        device=_device(runner),
        log=runner.logger.log_file)
    return [f'{name:10}{value}' for name, value in rows.items()]


def _data(dataset: BaseDataset, purpose: str) -> dict[str, str]:
    names = names_of(dataset)
    return dict(
        data=describe_data(dataset, purpose),
        classes=f'{len(names)}: {first_few(names)}'
        if names else 'without names')


def _model(runner: Runner) -> str:
    model: Any = unwrap(runner.model)
    model = getattr(model, 'module', model)  # of test-time augmentation
    part = getattr(model, 'backbone', model)
    count = sum(weight.numel() for weight in model.parameters())
    form = ''
    if hasattr(part, 'deploy'):
        form = f', {"deploy" if part.deploy else "training"} form'
    size = getattr(part, 'img_size', None)
    pixels = f', {size[0]}x{size[1]} pixels' if isinstance(size, tuple) else ''
    return (f'{type(part).__name__}{form}, {count / 1e6:.2f} M '
            f'parameters{pixels}')


def _optimizer(runner: Runner) -> str:
    optimizer = getattr(runner.optim_wrapper, 'optimizer', None)
    if optimizer is None:
        return type(runner.optim_wrapper).__name__
    rate = max(
        group.get('initial_lr', group['lr'])
        for group in optimizer.param_groups)
    return f'{type(optimizer).__name__}, learning rate up to {rate:.3g}'


def _device(runner: Runner) -> str:
    device, count = next(runner.model.parameters()).device, get_world_size()
    name = (
        torch.cuda.get_device_name(device) if device.type == 'cuda' else
        f'{device.type}, {pluralize(torch.get_num_threads(), "thread")}')
    return name + f', {count} processes' * (count > 1)
