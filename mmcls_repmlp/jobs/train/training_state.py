"""The optimizer and the schedules of a checkpoint, held against the config's.

PyTorch and mmengine load those of another optimizer without a word, and fail
in the first step, or train on with what fits.
"""
from __future__ import annotations

from typing import Any

from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch.optim import Optimizer

from repmlp_lite.errors import CheckpointError, option

from .resume import Start

# Of an optimizer's options those that say how it computes, not what, and come
# and go with PyTorch's versions.
_HOW = {
    'capturable', 'decoupled_weight_decay', 'differentiable', 'foreach',
    'fused', 'maximize', 'params'
}


def load_training_state(runner: Runner, start: Start) -> None:
    """Load what a checkpoint says of optimizer and schedule, if it fits.

    Args:
        runner: A runner whose optimizer and schedules are built; they are
            changed.
        start: What is resumed.

    Raises:
        CheckpointError: If they are others than those of the checkpoint.
    """
    saved = start.content['optimizer']
    wrapper = runner.optim_wrapper
    pairs = ([(wrapper, saved)] if not isinstance(wrapper, OptimWrapperDict)
             else [(part, saved.get(name)) for name, part in wrapper.items()])
    for part, state in pairs:
        difference = _difference(part.optimizer, state)
        if difference:
            raise _other(start, f'optimizer ({difference})', 'optim_wrapper')
    wrapper.load_state_dict({**saved})
    _check_schedules(runner, start)


def _difference(optimizer: Optimizer, saved: Any) -> str:
    try:
        groups = saved['param_groups']
        sizes = [[len(group['params']) for group in side]
                 for side in (optimizer.param_groups, groups)]
        options = [{
            name
            for group in side
            for name in group if not name.startswith('initial_')
        } - _HOW for side in (optimizer.param_groups, groups)]
    except (TypeError, KeyError, AttributeError):
        return 'it has no parameter groups'
    if options[0] != options[1]:
        return 'other options: ' + ', '.join(sorted(options[0] ^ options[1]))
    if sizes[0] != sizes[1]:
        return f'{len(sizes[1])} groups of {sum(sizes[1])} parameters, not ' \
               f'{len(sizes[0])} of {sum(sizes[0])}'
    flags = [
        side[0].get('decoupled_weight_decay', False)
        for side in (optimizer.param_groups, groups)
    ]
    return '' if flags[0] == flags[1] else 'other decoupled_weight_decay'


def _check_schedules(runner: Runner, start: Start) -> None:
    ours, saved = runner.param_schedulers, start.content.get(
        'param_schedulers')
    if saved is None or not isinstance(ours, list):
        return
    if len(ours) != len(saved) or any({*schedule.state_dict()} != {*state}
                                      for schedule, state in zip(ours, saved)):
        raise _other(start, 'schedule', 'param_scheduler')


def _other(start: Start, what: str, key: str) -> CheckpointError:
    return CheckpointError(
        f'checkpoint {start.source!r} is of a training with another {what}: '
        f'resume it with the {key} it was trained with, or start from its '
        f'weights with {option("cfg_options", "load_from=FILE")}')
