"""Labels of a data set, held against the outputs of a model."""
from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from mmengine.model import BaseModel, BaseTTAModel
from mmengine.runner import Runner

from mmcls_repmlp.recipe import PairVerification
from mmcls_repmlp.recipe.datasets import FoldersOfImages, MapLabels
from repmlp_lite.errors import ConfigError, first_few

from .leaf_datasets import leaf_datasets, levels
from .model import unwrapped

_ALIKE = 0.9  # of the names are the same, at the same place


def match_classes(dataset: BaseDataset, learnt: Sequence[str],
                  model: BaseModel) -> None:
    """Give the labels of a data set the meaning that they have in a model.

    The classes of a data set may be fewer than those that the model learnt,
    or in another order, such as where a folder is missing: then its labels
    become those of the classes of the same names, and its names the model's.

    Args:
        dataset: The data set; labels and names are changed in place.
        learnt: The classes of the model, as its checkpoint names them; empty
            if it does not.
        model: The classifier, for the number of its outputs.

    Raises:
        ConfigError: If the data has classes or labels that the model has not,
            or it cannot be told which of the model's they are.
    """
    learnt, outputs = tuple(map(str, learnt)), num_classes_of(model)
    for part in leaf_datasets(dataset):
        own = names_of(part)
        check_labels(part, outputs)
        if learnt and own and own != learnt:
            _relabel(part, own, learnt)
        elif not learnt:
            _check_count(part, own, outputs)
    for level in levels(dataset):
        if learnt and names_of(level):
            level._metainfo['classes'] = learnt


def match_loop(runner: Runner, learnt: Sequence[str]) -> None:
    """Do what :func:`match_classes` does, for the test loop of a runner.

    The loop is built. Identities that are verified in pairs need not be those
    trained on.
    """
    loop = runner.test_loop
    if verifies_pairs(loop):
        return
    dataset = loop.dataloader.dataset
    match_classes(dataset, learnt, runner.model)
    # Both took the names when the loop was built.
    metainfo = getattr(dataset, 'metainfo', None)
    loop.evaluator.dataset_meta = runner.visualizer.dataset_meta = metainfo


def check_labels(dataset: BaseDataset, outputs: int | None) -> None:
    """Refuse labels that stand for no class.

    Args:
        dataset: One that holds its data itself.
        outputs: Of the model, how many; None if there is no telling.

    Raises:
        ConfigError: If there is none, or one below 0, or too high.
    """
    names = names_of(dataset)
    if names and isinstance(dataset, FoldersOfImages):
        return  # it has seen to that itself
    limit = len(names) or outputs
    if limit is None or not hasattr(dataset, 'get_data_info'):
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
    for label in np.atleast_1d(labels).tolist():
        if not isinstance(label, int) or not 0 <= label < limit:
            return f'has the label {label!r}'
    return None


def _relabel(dataset: BaseDataset, own: Sequence[str],
             learnt: Sequence[str]) -> None:
    odd = [name for name in own if learnt.count(name) != 1]
    if odd and _spelled_otherwise(dataset, own, learnt):
        print_log(
            f'{len(odd)} of the {len(own)} classes have other names in '
            f'the checkpoint ({first_few(odd)}): labels are taken as they '
            'are', 'current', logging.WARNING)
        return
    if odd:
        raise ConfigError(
            f'{len(odd)} of the {len(own)} classes of the data ({first_few(odd)}) '
            f'are not among the {len(learnt)} that the checkpoint was trained '
            f'on ({first_few(learnt)}): give it data of these, or name the classes '
            'of the data set in the config, in their order, by classes=[...]')
    missing = [name for name in learnt if name not in own]
    print_log(
        f'the data has {len(own)} of the {len(learnt)} classes that the '
        f'checkpoint was trained on (not there: {first_few(missing) or "none"}): '
        'labels go by the names of the classes', 'current', logging.WARNING)
    dataset.pipeline.transforms.insert(
        0, MapLabels([learnt.index(name) for name in own]))


def _spelled_otherwise(dataset: BaseDataset, own: Sequence[str],
                       learnt: Sequence[str]) -> bool:
    # Names that a data set of the host brings along, such as ImageNet's, were
    # spelled otherwise in other versions. Folders are named by their user.
    same = sum(one == other for one, other in zip(own, learnt))
    return (own != tuple(getattr(dataset, 'folder_to_idx', ()))
            and len(own) == len(learnt) and same >= _ALIKE * len(own))


def _check_count(dataset: BaseDataset, own: Sequence[str],
                 outputs: int | None) -> None:
    if outputs is None or len(own) in (0, outputs):
        return
    by_folder = own == tuple(getattr(dataset, 'folder_to_idx', ()))
    if by_folder or len(own) > outputs:
        raise ConfigError(
            f'the data has {len(own)} classes and the model {outputs} '
            'outputs, and the checkpoint does not name its classes: give it '
            'data of the same classes, or name all of them, in the order of '
            'its outputs, by classes=[...] in the data set of the config')


def num_classes_of(model: BaseModel) -> int | None:
    """Count the outputs of a classifier; None if it does not say."""
    model = unwrapped(model)
    if isinstance(model, BaseTTAModel):
        model = model.module
    return getattr(getattr(model, 'head', None), 'num_classes', None)


def names_of(dataset: BaseDataset | None) -> tuple[str, ...]:
    """Name the classes of a data set; empty if it does not say."""
    return tuple(
        map(str,
            getattr(dataset, 'metainfo', {}).get('classes') or ()))


def verifies_pairs(loop: Any) -> bool:
    """Tell whether a loop of a runner compares pairs, whatever the labels."""
    return all(
        isinstance(metric, PairVerification)
        for metric in loop.evaluator.metrics)
