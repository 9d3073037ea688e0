"""Labels of a data set, matched with the outputs of a model."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModel, BaseTTAModel
from mmengine.runner import Runner

from mmcls_repmlp.recipe import PairVerification
from mmcls_repmlp.recipe.datasets import FoldersOfImages, clean_name
from repmlp_lite.console import warn
from repmlp_lite.errors import ConfigError, first_few

from .data import leaf_datasets, levels, warn_of_shared_images
from .model import unwrap


class MapLabels:
    """First step of a pipeline, which replaces every label by another."""

    def __init__(self, labels: Sequence[int]) -> None:
        self.labels = tuple(labels)

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``gt_label``, an int, or a list of them."""
        old = results.get('gt_label')
        if isinstance(old, (list, tuple)):
            results['gt_label'] = [self.labels[label] for label in old]
        elif old is not None:
            results['gt_label'] = self.labels[old]
        return results


def match_classes(dataset: BaseDataset, checkpoint_classes: Sequence[str],
                  model: BaseModel) -> None:
    """Give the labels of a data set, in place, their meaning in a model.

    The classes of a data set may be fewer than those of the model, or in
    another order, such as where a folder is missing: then its labels become
    those of the model's classes of the same names, and its names the model's.
    Raise ConfigError if the data has others, or it is unknown which they are.
    """
    names = tuple(map(clean_name, checkpoint_classes))
    outputs = num_classes_of(model)
    for part in leaf_datasets(dataset):
        own = names_of(part)
        check_labels(part, outputs)
        if names and own and own != names:
            _relabel(part, own, names)
        elif not names and own and outputs and (len(own) > outputs or
                                                (len(own) < outputs
                                                 and own == _folders(part))):
            raise ConfigError(
                f'the data has {len(own)} classes and the model {outputs} '
                'outputs, and the checkpoint does not name its classes: give '
                'it data of the same classes, or name all of them, in the '
                'order of its outputs, by classes=[...] in the data set of '
                'the config')
    for level in levels(dataset):
        if names and names_of(level):
            level._metainfo['classes'] = names


def match_loop(runner: Runner, checkpoint_classes: Sequence[str]) -> None:
    """Apply :func:`match_classes` to the built test loop of a runner."""
    loop = runner.test_loop
    if verifies_pairs(loop):  # of identities that may be others
        return
    dataset = loop.dataloader.dataset
    warn_of_absent(dataset, 'test')
    match_classes(dataset, checkpoint_classes, runner.model)
    # Both took the names when the loop was built.
    metainfo = getattr(dataset, 'metainfo', None)
    loop.evaluator.dataset_meta = runner.visualizer.dataset_meta = metainfo


def check_labels(dataset: BaseDataset, outputs: int | None) -> None:
    """Raise ConfigError if a label of a leaf data set stands for no class.

    ``outputs`` is the number of outputs of the model; None if unknown.
    """
    names = names_of(dataset)
    limit = len(names) or outputs
    checked = names and isinstance(dataset, FoldersOfImages)
    if checked or limit is None or not hasattr(dataset, 'get_data_info'):
        return
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        fault = _fault(info, limit)
        if fault:
            raise ConfigError(
                f'sample {i} of the data ({info.get("img_path", "pixels")}) '
                f'{fault}, but there are {limit} classes: labels are numbers '
                f'from 0 to {limit - 1}')


def _fault(info: Mapping[str, Any], limit: int) -> str | None:
    labels = info.get('gt_label')
    if labels is None:
        return None if 'gt_score' in info else 'has no label'
    if isinstance(labels, Mapping):
        return None  # of several tasks
    return next((f'has the label {label!r}'
                 for label in np.atleast_1d(labels).tolist()
                 if not isinstance(label, int) or not 0 <= label < limit),
                None)


def _relabel(dataset: BaseDataset, own: Sequence[str],
             names: Sequence[str]) -> None:
    unknown = [name for name in own if names.count(name) != 1]
    if not unknown:
        missing = [name for name in names if name not in own]
        warn(f'the data has {len(own)} of the {len(names)} classes that the '
             'checkpoint was trained on (missing: '
             f'{first_few(missing) or "none"}): labels are matched by name')
        dataset.pipeline.transforms.insert(
            0, MapLabels([names.index(name) for name in own]))
        return
    # Names that a data set of the host brings along, such as ImageNet's, are
    # spelled otherwise in other versions; folders are named by the user.
    same = sum(one == other for one, other in zip(own, names))
    if (own == _folders(dataset) or len(own) != len(names)
            or same < 0.9 * len(own)):
        raise ConfigError(
            f'{len(unknown)} of the {len(own)} classes of the data '
            f'({first_few(unknown)}) are not among the {len(names)} that the '
            f'checkpoint was trained on ({first_few(names)}): give it data of '
            'these, or name the classes of the data set in the config, in '
            'their order, by classes=[...]')
    warn(f'{len(unknown)} of the {len(own)} classes have other names in the '
         f'checkpoint ({first_few(unknown)}): labels are taken as they are')


def _folders(dataset: BaseDataset) -> tuple[str, ...]:
    return tuple(map(clean_name, getattr(dataset, 'folder_to_idx', ())))


def num_classes_of(model: BaseModel) -> int | None:
    """Return the number of outputs of a classifier; None if unknown."""
    model = unwrap(model)
    if isinstance(model, BaseTTAModel):
        model = model.module
    return getattr(getattr(model, 'head', None), 'num_classes', None)


def names_of(dataset: BaseDataset | None) -> tuple[str, ...]:
    """Return the class names of a data set; empty if it has none."""
    return tuple(
        map(clean_name,
            getattr(dataset, 'metainfo', {}).get('classes') or ()))


def verifies_pairs(loop: Any) -> bool:
    """Return whether a loop of a runner compares pairs, whatever labels."""
    return all(
        isinstance(metric, PairVerification)
        for metric in loop.evaluator.metrics)


def check_classes(runner: Runner) -> None:
    """Check that labels mean the same in training, validation and the head.

    A folder's classes are its subfolders in the order of their names: a
    subfolder that ``val`` lacks would shift the labels of all that follow.
    The loops of the runner are built. Raise ConfigError if classes differ.
    """
    train, val = (_dataset(runner, phase) for phase in ('train', 'val'))
    if val is not None and verifies_pairs(runner.val_loop):
        val = None  # identities that need not be those trained on
    names, val_names = names_of(train), names_of(val)
    if names and val_names and names != val_names:
        raise ConfigError(
            f'the train data set has {len(names)} classes, the val data set '
            f'{len(val_names)}, and they are not the same '
            f'({_only_in_one(names, val_names)}): both need a subfolder for '
            'every class, even an empty one')
    if train is not None and val is not None:
        warn_of_absent(val, 'val', train)
        warn_of_shared_images(train, val)
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


def warn_of_absent(dataset: BaseDataset,
                   phase: str,
                   train: BaseDataset | None = None) -> None:
    """Warn of classes of which a data set has no image, so no score.

    Classes are those that ``train`` has images of. Defaults to all names.
    """
    names, present = names_of(dataset), _labels_in(dataset)
    if not present or len(present) == len(names):
        return
    known = {*range(len(names))} if train is None else _labels_in(train)
    absent = sorted(known - present)
    if absent:
        listed = [names[i] if i < len(names) else i for i in absent]
        warn(f'warning: the {phase} data set has no image of {len(absent)} of '
             f'{len(known)} classes ({first_few(listed)}): its scores say '
             'nothing about them')


def _labels_in(dataset: BaseDataset) -> set[int]:
    """Collect the labels that occur; empty if they are not single classes."""
    get = getattr(dataset, 'get_data_info', None)
    labels = () if get is None else (get(i).get('gt_label')
                                     for i in range(len(dataset)))
    return {
        item
        for label in labels
        if label is not None and not isinstance(label, Mapping)
        for item in np.atleast_1d(label).tolist()
    }


def check_checkpoint_classes(runner: Runner, checkpoint_classes: Sequence[str],
                             resumes: bool) -> None:
    """Check the classes of the checkpoint that a training run starts from.

    Raise ConfigError if they differ where a run is resumed. Otherwise weights
    for other classes are a start, with a warning.
    """
    names = names_of(_dataset(runner, 'train'))
    others = tuple(map(clean_name, checkpoint_classes))
    if not others or not names or others == names:
        return
    message = (f'the checkpoint was trained on {len(others)} classes and the '
               f'train data set has {len(names)}, which are not the same '
               f'({_only_in_one(names, others)})')
    if resumes:
        raise ConfigError(f'{message}: resume with the data that it was '
                          'trained on, or start from its weights with '
                          'load_from')
    warn(f'warning: {message}: the head starts from weights for others')


def _only_in_one(names: Sequence[str], others: Sequence[str]) -> str:
    return first_few(sorted({*names} ^ {*others}) or ['their order'])


def _dataset(runner: Runner, phase: str) -> BaseDataset | None:
    if runner.cfg.get(f'{phase}_dataloader') is None:
        return None
    return getattr(runner, f'{phase}_loop').dataloader.dataset
