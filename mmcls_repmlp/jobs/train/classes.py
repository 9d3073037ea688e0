"""The classes that a training is about, the same wherever they are named."""
from __future__ import annotations

import logging
from collections.abc import Sequence

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmcls_repmlp.jobs.shared.labels import (check_labels, names_of,
                                             num_classes_of, verifies_pairs)
from mmcls_repmlp.jobs.shared.leaf_datasets import leaf_datasets
from repmlp_lite.errors import ConfigError, first_few


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
            than the head, or labels that stand for none.
    """
    train, val = (_dataset(runner, loop) for loop in ('train', 'val'))
    names, val_names = names_of(train), names_of(val)
    pairs = val is not None and verifies_pairs(runner.val_loop)
    if names and val_names and names != val_names and not pairs:
        raise ConfigError(
            f'the train data set has {len(names)} classes, the val data set '
            f'{len(val_names)}, and they are not the same '
            f'({_odd(names, val_names)}): both need a subfolder for every '
            'class, even an empty one')
    count = num_classes_of(runner.model)
    for dataset in (train, *(() if pairs else (val, ))):
        for part in () if dataset is None else leaf_datasets(dataset):
            check_labels(part, count)
    _check_head(count, names)


def check_start_classes(runner: Runner, learnt: Sequence[str],
                        resumes: bool) -> None:
    """Hold the classes of what a training starts from against its own.

    Args:
        runner: The runner, its loop for training built.
        learnt: The classes that the checkpoint names; empty if it does not,
            or there is none.
        resumes: Whether the training in it goes on. Otherwise its weights are
            a start, whose head may be for others: that is said.

    Raises:
        ConfigError: If a training would go on with other classes.
    """
    names, learnt = names_of(_dataset(runner, 'train')), tuple(learnt)
    if not learnt or not names or learnt == names:
        return
    message = (f'the checkpoint was trained on {len(learnt)} classes and the '
               f'train data set has {len(names)}, which are not the same '
               f'({_odd(names, learnt)})')
    if resumes:
        raise ConfigError(f'{message}: resume with the data that it was '
                          'trained on, or start from its weights with '
                          'load_from')
    message += ': the head starts from weights for others'
    print_log(message, logger='current', level=logging.WARNING)


def _odd(names: Sequence[str], others: Sequence[str]) -> str:
    return first_few(sorted({*names} ^ {*others}) or ['their order'])


def _check_head(count: int | None, names: Sequence[str]) -> None:
    if not names or count is None or count == len(names):
        return
    message = (f'the train data set has {len(names)} classes and the head '
               f'{count}: set model.head.num_classes to {len(names)}')
    if len(names) > count:
        raise ConfigError(message)
    print_log(message, logger='current', level=logging.WARNING)


def _dataset(runner: Runner, loop: str) -> BaseDataset | None:
    if runner.cfg.get(f'{loop}_dataloader') is None:
        return None
    built = getattr(runner, f'{loop}_loop')
    return getattr(getattr(built, 'dataloader', None), 'dataset', None)
