"""Dry run of a step of training, validation and test."""
from __future__ import annotations

import copy
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from mmengine.dist import get_world_size
from mmengine.evaluator import DumpResults
from mmengine.hooks import CheckpointHook, EarlyStoppingHook, EMAHook
from mmengine.model import BaseModel
from mmengine.runner import Runner, TestLoop, ValLoop, autocast
from torch.utils.data import DataLoader

from mmcls_repmlp.host import OPTIMIZERS, BaseRetriever
from mmcls_repmlp.jobs.shared.config import config_errors
from mmcls_repmlp.jobs.shared.model import unwrap
from repmlp_lite.console import warn
from repmlp_lite.errors import ConfigError


def dry_run(runner: Runner,
            load_state: Callable[[Runner], None] | None = None,
            with_test: bool = False) -> None:
    """Try a training step, a validation and a test on a copy of the model.

    The smallest batch that will occur, of two images at most, goes through
    pipeline, model, loss and optimizer, and three images through the metrics.
    Weights, statistics, random states and files stay as they are. The loops of
    the runner must exist; ``load_state`` loads the state to resume from. Raise
    ConfigError, with the module at fault, if a step fails.
    """
    with _trial(runner) as trial:
        _build_optimizers(trial)
        if load_state:
            load_state(trial)
        _train(trial)
        metrics = _evaluate(trial, 'val')
        if with_test:
            _evaluate(trial, 'test')
    for what, key in _monitored(trial):
        if runner.cfg.get('val_dataloader') is None:
            warn('warning: this training run has no validation, so '
                 f'{what} of the config, like everything that needs a score, '
                 'will have no effect')
            return
        if metrics is not None and key not in (*metrics, 'auto'):
            raise ConfigError(
                f'{what} of the config names {key!r}, which no metric '
                f'computes: choose from {", ".join(metrics) or "none"}')


@contextmanager
def _trial(runner: Runner) -> Iterator[Runner]:
    """Copy a runner with its model; restore random states at the end."""
    states = random.getstate(), np.random.get_state()
    devices = ([torch.cuda.current_device()]
               if torch.cuda.is_available() else [])
    trial = copy.copy(runner)
    trial.model = copy.deepcopy(unwrap(runner.model))
    # The training run itself will issue the same warnings.
    runner.logger.disabled = True
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices):
            warnings.simplefilter('ignore')
            yield trial
    finally:
        runner.logger.disabled = False
        random.setstate(states[0])
        np.random.set_state(states[1])


@contextmanager
def _config_errors(message: str,
                   model: BaseModel | None = None) -> Iterator[None]:
    """Translate all errors except the system's, such as a full disk."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        with config_errors(message + _place(error, model), Exception):
            raise


def _place(error: Exception, model: BaseModel | None) -> str:
    """Name the innermost module of the model that an error came from."""
    names = {
        id(part): name
        for name, part in model.named_modules()
    } if model is not None else {}
    place, trace = '', error.__traceback__
    while trace is not None:
        owner = trace.tb_frame.f_locals.get('self')
        place = names.get(id(owner), place)
        trace = trace.tb_next
    return f' in model.{place}' if place else ''


def _build_optimizers(runner: Runner) -> None:
    """Build what follows the model: optimizer, schedules, averages."""
    with _config_errors('the optimizer of the config cannot be built'):
        _check_optimizer(runner.optim_wrapper)
        runner.optim_wrapper = runner.build_optim_wrapper(
            copy.deepcopy(runner.optim_wrapper))
        runner.scale_lr(runner.optim_wrapper, runner.auto_scale_lr)
    with _config_errors('param_scheduler of the config cannot be built, '
                        'or is longer than its train_cfg'):
        if runner.param_schedulers is not None:
            runner.param_schedulers = runner.build_param_scheduler(
                copy.deepcopy(runner.param_schedulers))
    with _config_errors('EMAHook of the config cannot average the model'):
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):
                copy.deepcopy(hook).before_run(runner)


def _check_optimizer(cfg: Any) -> None:
    # mmengine would inspect the signature of None.
    name = (cfg.get('optimizer') or {}).get('type')
    if isinstance(name, str) and OPTIMIZERS.get(name) is None:
        raise ConfigError(f'the optimizer type {name!r} of the config is '
                          'unknown: choose one of torch.optim')


def _train(runner: Runner) -> None:
    loader = runner.train_dataloader
    with _config_errors('the train data of the config cannot be prepared'):
        batch = _batch(loader, range(_smallest(loader)))
    # As mmengine's RuntimeInfoHook does; models may read them.
    for name in ('epoch', 'iter', 'max_epochs', 'max_iters'):
        runner.message_hub.update_info(name, getattr(runner, name))
    with _config_errors('a training step of the config fails', runner.model):
        runner.model.train()
        # Step the optimizer even if gradients are accumulated.
        runner.optim_wrapper.initialize_count_status(runner.model, 0, 1)
        runner.model.train_step(batch, optim_wrapper=runner.optim_wrapper)


def _smallest(loader: DataLoader) -> int:
    """Return the size of an epoch's smallest batch, two at most."""
    batches, dataset = loader.batch_sampler, cast(Any, loader.dataset)
    full = getattr(batches, 'batch_size', None)
    rest = len(getattr(batches, 'sampler', ())) % (full or 1)
    if not rest or getattr(batches, 'drop_last', False):
        rest = full or 2
    return min(2, rest, len(dataset))


def _batch(loader: DataLoader, indices: Any) -> Any:
    return loader.collate_fn([loader.dataset[index] for index in indices])


def _evaluate(runner: Runner, phase: str) -> dict[str, Any] | None:
    if runner.cfg.get(f'{phase}_dataloader') is None:
        return None
    loop, model = getattr(runner, f'{phase}_loop'), runner.model
    # A retriever predicts with prototypes, which its hook makes of all images.
    if not isinstance(loop,
                      (ValLoop, TestLoop)) or isinstance(model, BaseRetriever):
        return None
    last = len(loop.dataloader.dataset) - 1
    with _config_errors(f'the {phase} data of the config cannot be prepared'):
        # Folders are sorted by class: two of one class, one of another.
        batch = _batch(loop.dataloader, sorted({0, min(1, last), last}))
    with _config_errors(f'a step of the {phase} loop of the config fails',
                        model):
        model.eval()
        with torch.no_grad(), autocast(enabled=loop.fp16):
            outputs = getattr(model, f'{phase}_step')(batch)
    with _config_errors(f'{phase}_evaluator of the config fails'):
        evaluator = copy.deepcopy(loop.evaluator)
        evaluator.metrics = [
            metric for metric in evaluator.metrics
            if not isinstance(metric, DumpResults)
        ]
        # Metrics of pairs, or of ranks, need more than a few samples.
        for _ in range(8):
            evaluator.process(data_samples=outputs, data_batch=batch)
        return evaluator.evaluate(8 * len(outputs) * get_world_size())


def _monitored(runner: Runner) -> Iterator[tuple[str, str]]:
    """Yield each setting that follows a metric, with the metric's name."""
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook):
            yield from (('save_best', key) for key in hook.save_best or ())
        elif isinstance(hook, EarlyStoppingHook):
            yield 'monitor of EarlyStoppingHook', hook.monitor
    schedules = runner.param_schedulers or ()
    for schedule in schedules if isinstance(schedules, list) else ():
        if hasattr(schedule, 'monitor'):
            yield 'monitor of param_scheduler', schedule.monitor
