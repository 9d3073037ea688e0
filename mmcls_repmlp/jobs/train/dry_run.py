"""One step of everything before the first one counts."""
from __future__ import annotations

import copy
import difflib
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from mmengine.dist import get_world_size
from mmengine.evaluator import DumpResults
from mmengine.hooks import CheckpointHook, EarlyStoppingHook
from mmengine.model import BaseModel
from mmengine.runner import Runner, ValLoop, autocast
from torch.utils.data import DataLoader

from mmcls_repmlp.host import OPTIMIZERS, BaseRetriever
from mmcls_repmlp.jobs.shared.model import unwrapped
from repmlp_lite.errors import (ConfigError, JobFailedError, UserError,
                                describe, is_out_of_memory)

# Metrics of pairs, or of ranks, need more than a few samples: those that were
# predicted are given this often.
_REPEATS = 8


def dry_run(runner: Runner,
            load_state: Callable[[Runner], None] | None = None) -> None:
    """Try a training step and a validation on a copy of the model.

    The smallest batch that will occur, of two images at most, goes through
    pipeline, model, loss and optimizer, and three images through the metrics.
    Weights, statistics, random states and files stay as they are.

    Args:
        runner: The runner, its loops built.
        load_state: Puts what is resumed into optimizer and schedules.
            Defaults to None: nothing is.

    Raises:
        ConfigError: If something fails; one sentence says what and where.
    """
    with _on_a_copy(runner):
        with _explained('the optimizer of the config cannot be built'):
            _check_optimizer(runner.optim_wrapper)
            runner.optim_wrapper = runner.build_optim_wrapper(
                copy.deepcopy(runner.optim_wrapper))
            runner.scale_lr(runner.optim_wrapper, runner.auto_scale_lr)
        with _explained('param_scheduler of the config cannot be built, or is '
                        'longer than its train_cfg'):
            if runner.param_schedulers is not None:
                runner.param_schedulers = runner.build_param_scheduler(
                    copy.deepcopy(runner.param_schedulers))
        if load_state is not None:
            load_state(runner)
        _train(runner)
        metrics = _validate(runner)
        if metrics is not None:
            _check_keys(runner, metrics)
        idle = [what for what, _ in _monitored(runner)]
    if idle and runner.cfg.get('val_dataloader') is None:
        runner.logger.warning(
            'nothing is validated in this training, so that %s of the config '
            'will do nothing', ' and '.join(dict.fromkeys(idle)))


@contextmanager
def _on_a_copy(runner: Runner) -> Iterator[None]:
    kept = {
        name: getattr(runner, name)
        for name in ('model', 'optim_wrapper', 'param_schedulers')
    }
    states = random.getstate(), np.random.get_state()
    devices = ([torch.cuda.current_device()]
               if torch.cuda.is_available() else [])
    # What is worth a warning is said when it counts.
    runner.logger.disabled = True
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices):
            warnings.simplefilter('ignore')
            runner.model = copy.deepcopy(unwrapped(runner.model))
            yield
    finally:
        runner.logger.disabled = False
        random.setstate(states[0])
        np.random.set_state(states[1])
        for name, value in kept.items():
            setattr(runner, name, value)


@contextmanager
def _explained(what: str, model: BaseModel | None = None) -> Iterator[None]:
    """Turn what a wrong config causes into a ConfigError, with the cause.

    Errors of the machine, such as a full disk, are not the config's.
    """
    try:
        yield
    except (UserError, JobFailedError, OSError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ConfigError(
            f'{what}{_place(error, model)}: {describe(error)}') from error


def _check_optimizer(cfg: Any) -> None:
    # mmengine would look into the arguments of None.
    name = (cfg.get('optimizer') or {}).get('type')
    if isinstance(name, str) and OPTIMIZERS.get(name) is None:
        names = [*OPTIMIZERS.module_dict, *OPTIMIZERS.parent.module_dict]
        near = difflib.get_close_matches(name, names, 3)
        raise ConfigError(f'the optimizer type {name!r} of the config is '
                          f'unknown{": did you mean " * bool(near)}'
                          f'{" or ".join(near)}')
    options = cfg.get('paramwise_cfg') or {}
    scaled = [
        key for part in (options, *options.get('custom_keys', {}).values())
        for key in part if str(key).endswith('decay_mult')
    ]
    if scaled and (cfg.get('optimizer') or {}).get('weight_decay') is None:
        raise ConfigError(f'paramwise_cfg of the config has {scaled[0]}, but '
                          'the optimizer no weight decay to multiply: set '
                          'optim_wrapper.optimizer.weight_decay, such as to 0')


def _place(error: Exception, model: BaseModel | None) -> str:
    """Name the innermost module of the model that an error came from."""
    names = {} if model is None else {
        id(module): name
        for name, module in model.named_modules() if name
    }
    place, trace = '', error.__traceback__
    while trace is not None:
        owner = trace.tb_frame.f_locals.get('self')
        place = names.get(id(owner), place)
        trace = trace.tb_next
    return f' in model.{place}' if place else ''


def _train(runner: Runner) -> None:
    loader = runner.train_dataloader
    with _explained('the train data of the config cannot be prepared'):
        batch = _batch(loader, range(_smallest(loader)))
    _announce(runner)
    with _explained('a training step of the config fails', runner.model):
        runner.model.train()
        # Also where gradients are added up over several batches.
        runner.optim_wrapper.initialize_count_status(runner.model, 0, 1)
        runner.model.train_step(batch, optim_wrapper=runner.optim_wrapper)


def _smallest(loader: DataLoader) -> int:
    """Take one image where the last batch of an epoch has only one."""
    batches, dataset = loader.batch_sampler, cast(Any, loader.dataset)
    full = getattr(batches, 'batch_size', None)
    rest = len(getattr(batches, 'sampler', ())) % (full or 1)
    if not rest or getattr(batches, 'drop_last', False):
        rest = full or 2
    return min(2, rest, len(dataset))


def _batch(loader: DataLoader, indices: Any) -> Any:
    return loader.collate_fn([loader.dataset[index] for index in indices])


def _announce(runner: Runner) -> None:
    # What models may ask for, as mmengine's RuntimeInfoHook tells it.
    for name in ('epoch', 'iter', 'max_epochs', 'max_iters'):
        runner.message_hub.update_info(name, getattr(runner, name))


def _validate(runner: Runner) -> dict[str, Any] | None:
    if runner.cfg.get('val_dataloader') is None:
        return None
    loop, model = runner.val_loop, runner.model
    # A retriever's hook prepares what it predicts with from all images.
    if not isinstance(loop, ValLoop) or isinstance(model, BaseRetriever):
        return None
    last = len(loop.dataloader.dataset) - 1
    with _explained('the val data of the config cannot be prepared'):
        # Folders are sorted by class: two of one class, one of another.
        batch = _batch(loop.dataloader, sorted({0, min(1, last), last}))
    with _explained('a validation step of the config fails', model):
        model.eval()
        with torch.no_grad(), autocast(enabled=loop.fp16):
            outputs = model.val_step(batch)
    with _explained('val_evaluator of the config fails'):
        return _evaluate(loop, batch, outputs)


def _evaluate(loop: ValLoop, batch: Any, outputs: Any) -> dict[str, Any]:
    evaluator = copy.deepcopy(loop.evaluator)
    evaluator.metrics = [
        metric for metric in evaluator.metrics
        if not isinstance(metric, DumpResults)
    ]
    for _ in range(_REPEATS):
        evaluator.process(data_samples=outputs, data_batch=batch)
    return evaluator.evaluate(_REPEATS * len(outputs) * get_world_size())


def _check_keys(runner: Runner, metrics: Mapping[str, Any]) -> None:
    for what, key in _monitored(runner):
        if key not in metrics and key != 'auto':
            raise ConfigError(
                f'{what} of the config names {key!r}, which no metric gives: '
                f'choose from {", ".join(metrics) or "none"}')


def _monitored(runner: Runner) -> Iterator[tuple[str, str]]:
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook):
            yield from (('save_best', key) for key in hook.save_best or ())
        elif isinstance(hook, EarlyStoppingHook):
            yield 'monitor of EarlyStoppingHook', hook.monitor
    schedules = runner.param_schedulers or ()
    for schedule in schedules if isinstance(schedules, list) else ():
        if hasattr(schedule, 'monitor'):
            yield 'monitor of param_scheduler', schedule.monitor
