"""Classes of a training run, the same in data, head and checkpoint."""
from __future__ import annotations

from collections.abc import Sequence

from mmengine.dataset import BaseDataset
from mmengine.runner import Runner

from mmcls_repmlp.jobs.shared.labels import (check_labels, names_of,
                                             num_classes_of, verifies_pairs)
from mmcls_repmlp.jobs.shared.leaf_datasets import leaf_datasets
from repmlp_lite.console import warn
from repmlp_lite.errors import ConfigError, first_few


def check_classes(runner: Runner) -> None:
    """Check that labels mean the same in training, validation and the head.

    A folder's classes are its subfolders in the order of their names: a
    subfolder that ``val`` lacks would shift the labels of all that follow.
    The loops of the runner are built.

    Raises:
        ConfigError: If the data sets have different classes, or more than the
            head, or labels that stand for no class.
    """
    train, val = (_dataset(runner, phase) for phase in ('train', 'val'))
    if val is not None and verifies_pairs(runner.val_loop):
        val = None  # identities that need not be those trained on
    names, val_names = names_of(train), names_of(val)
    if names and val_names and names != val_names:
        raise ConfigError(
            f'the train data set has {len(names)} classes, the val data set '
            f'{len(val_names)}, and they are not the same '
            f'({only_in_one(names, val_names)}): both need a subfolder for '
            'every class, even an empty one')
    count = num_classes_of(runner.model)
    for dataset in filter(None, (train, val)):
        for part in leaf_datasets(dataset):
            check_labels(part, count)
    if not names or count in (None, len(names)):
        return
    message = (f'the train data set has {len(names)} classes and the head '
               f'{count}: set model.head.num_classes to {len(names)}')
    if len(names) > count:
        raise ConfigError(message)
    warn(f'warning: {message}')


def check_checkpoint_classes(runner: Runner, checkpoint_classes: Sequence[str],
                             resumes: bool) -> None:
    """Check the classes of the checkpoint that a training run starts from.

    Raise ConfigError if they differ where a run is resumed. Otherwise weights
    for other classes are a start, with a warning.
    """
    names = names_of(_dataset(runner, 'train'))
    others = tuple(checkpoint_classes)
    if not others or not names or others == names:
        return
    message = (f'the checkpoint was trained on {len(others)} classes and the '
               f'train data set has {len(names)}, which are not the same '
               f'({only_in_one(names, others)})')
    if resumes:
        raise ConfigError(f'{message}: resume with the data that it was '
                          'trained on, or start from its weights with '
                          'load_from')
    warn(f'warning: {message}: the head starts from weights for others')


def only_in_one(names: Sequence[str], others: Sequence[str]) -> str:
    """List the first few names that only one of two lists has."""
    return first_few(sorted({*names} ^ {*others}) or ['their order'])


def _dataset(runner: Runner, phase: str) -> BaseDataset | None:
    if runner.cfg.get(f'{phase}_dataloader') is None:
        return None
    return getattr(runner, f'{phase}_loop').dataloader.dataset
