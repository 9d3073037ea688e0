"""The classes of the data sets and of the head, held against each other."""
from __future__ import annotations

import logging
from typing import Any

from mmengine.logging import print_log
from mmengine.runner import Runner

from mmcls_repmlp.errors import ConfigError
from mmcls_repmlp.evaluation import PairVerification

from .model import unwrapped


def check_classes(runner: Runner) -> None:
    """Make sure that labels mean the same everywhere, as far as is told.

    A folder's classes are its subfolders in the order of their names: a
    subfolder that ``val`` lacks would move the labels of all that follow.
    Identities that are verified in pairs need not be those trained on.

    Args:
        runner: The runner, its loops for training, and for validation if it
            has one, built.

    Raises:
        ConfigError: If the data sets have other classes, or more of them
            than the head.
    """
    train, val = (_names(runner, loop) for loop in ('train', 'val'))
    if train and val and train != val and not _verifies(runner):
        odd = sorted({*train} ^ {*val}) or ['their order']
        raise ConfigError(
            f'the train data set has {len(train)} classes, the val data set '
            f'{len(val)}, and they are not the same ({", ".join(odd[:3])}): '
            'both need a subfolder for every class, even an empty one')
    model = unwrapped(runner.model)
    count = getattr(getattr(model, 'head', None), 'num_classes', None)
    if not train or count is None or count == len(train):
        return
    message = (f'the train data set has {len(train)} classes and the head '
               f'{count}: set model.head.num_classes to {len(train)}')
    if len(train) > count:
        raise ConfigError(message)
    print_log(message, logger='current', level=logging.WARNING)


def _verifies(runner: Runner) -> bool:
    return all(isinstance(metric, PairVerification)
               for metric in runner.val_loop.evaluator.metrics)


def _names(runner: Runner, loop: str) -> tuple[Any, ...]:
    if runner.cfg.get(f'{loop}_dataloader') is None:
        return ()
    built = getattr(runner, f'{loop}_loop')
    dataset = getattr(getattr(built, 'dataloader', None), 'dataset', None)
    return tuple(getattr(dataset, 'metainfo', {}).get('classes') or ())
