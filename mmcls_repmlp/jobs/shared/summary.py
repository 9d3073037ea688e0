"""What a run is about, in ten lines."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dataset import BaseDataset
from mmengine.dist import get_world_size
from mmengine.runner import IterBasedTrainLoop, Runner

from repmlp_lite.errors import first_few, pluralize

from .labels import names_of
from .leaf_datasets import leaf_datasets
from .model import unwrapped

Rows = Sequence[tuple[str, str]]


def summarize_training(runner: Runner) -> str:
    """Say what is about to be trained, on what, and where the log is."""
    train = runner.train_dataloader.dataset
    images = f'{pluralize(len(train), "image")} to train on'
    if runner.val_loop is not None:
        images += f', {len(runner.val_dataloader.dataset)} to validate'
    start = runner._load_from
    return _table([
        ('model', _model(runner)),
        ('data', images + _place(train)),
        ('classes', _classes(train)),
        ('schedule', _schedule(runner)),
        ('optimizer', _optimizer(runner)),
        ('start', f'{"resuming" if runner._resume else "weights of"} {start}'
         if start else 'from new weights'),
        ('seed', str(runner.seed)),
        *_where(runner),
    ])


def summarize_test(runner: Runner, checkpoint: object) -> str:
    """Say what is about to be tested, on what, and where the log is."""
    dataset = runner.test_dataloader.dataset
    return _table([
        ('model', _model(runner)),
        ('weights', str(checkpoint)),
        ('data',
         f'{pluralize(len(dataset), "image")} to test on{_place(dataset)}'),
        ('classes', _classes(dataset)),
        *_where(runner),
    ])


def _table(rows: Rows) -> str:
    return '\n'.join(f'{name:10}{value}' for name, value in rows)


def _model(runner: Runner) -> str:
    model: Any = unwrapped(runner.model)
    # A model that is tested on several views of an image lies within another.
    model = getattr(model, 'module', model)
    part = getattr(model, 'backbone', model)
    count = sum(weight.numel() for weight in model.parameters())
    forms: dict[Any, str] = {True: ', deploy form', False: ', training form'}
    form = forms.get(getattr(part, 'deploy', None), '')
    size = getattr(part, 'img_size', None)
    pixels = f', {size[0]}x{size[1]} pixels' if isinstance(size, tuple) else ''
    return (f'{type(part).__name__}{form}, {count / 1e6:.2f} M '
            f'parameters{pixels}')


def _place(dataset: BaseDataset) -> str:
    roots = {
        str(getattr(part, 'data_root', ''))
        for part in leaf_datasets(dataset)
    }
    found = sorted(root for root in roots if root)
    return f', in {first_few(found)}' if found else ''


def _classes(dataset: BaseDataset) -> str:
    names = names_of(dataset)
    return f'{len(names)}: {first_few(names)}' if names else 'without names'


def _schedule(runner: Runner) -> str:
    loader = runner.train_dataloader
    batch = getattr(loader.batch_sampler, 'batch_size',
                    None) or loader.batch_size
    size = f'batches of {batch}'
    if get_world_size() > 1:
        size += f' in each of {get_world_size()} processes'
    if isinstance(runner.train_loop, IterBasedTrainLoop):
        return f'{pluralize(runner.max_iters, "iteration")}, {size}'
    return (f'{pluralize(runner.max_epochs, "epoch")} of '
            f'{pluralize(len(loader), "iteration")}, {size}')


def _optimizer(runner: Runner) -> str:
    optimizer = getattr(runner.optim_wrapper, 'optimizer', None)
    if optimizer is None:
        return type(runner.optim_wrapper).__name__
    rate = max(
        group.get('initial_lr', group['lr'])
        for group in optimizer.param_groups)
    return f'{type(optimizer).__name__}, learning rate up to {rate:.3g}'


def _where(runner: Runner) -> Rows:
    device = next(runner.model.parameters()).device
    name = (
        torch.cuda.get_device_name(device) if device.type == 'cuda' else
        f'{device.type}, {pluralize(torch.get_num_threads(), "thread")}')
    if get_world_size() > 1:
        name += f', {get_world_size()} processes'
    return [('device', name), ('log', str(runner.logger.log_file))]
