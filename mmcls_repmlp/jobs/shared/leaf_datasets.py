"""Data sets: what they are made of, and what is not read."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from mmengine.dataset import BaseDataset

from repmlp_lite.errors import ConfigError

from .settings import iter_items

# Kinds of files that mmengine reads by running what they say. It takes for
# the kind what follows the last dot, or all of a name without any.
_RUN_CODE = ('pkl', 'pickle', 'yaml', 'yml')


def levels(dataset: BaseDataset) -> Iterator[BaseDataset]:
    """Look into a data set: itself, and all that it is made of."""
    yield dataset
    for part in _inside(dataset):
        yield from levels(part)


def leaf_datasets(dataset: BaseDataset) -> Iterator[BaseDataset]:
    """Look into data sets that repeat, balance or concatenate others."""
    return (level for level in levels(dataset) if not _inside(level))


def _inside(dataset: BaseDataset) -> Sequence[BaseDataset]:
    single = getattr(dataset, 'dataset', None)
    return getattr(dataset, 'datasets', () if single is None else (single, ))


def check_samples(dataset: BaseDataset, what: str) -> None:
    """Refuse a data set without a sample.

    Raises:
        ConfigError: If it is empty.
    """
    if not len(dataset):
        lists = (
            getattr(part, 'ann_file', '') for part in leaf_datasets(dataset))
        first = next(filter(None, lists), None)
        where = f' (its list is {first!r})' if first else ''
        raise ConfigError(f'{what} is empty{where}: there is nothing to do')


def describe_annotations(dataset: Any) -> str:
    """Tell where settings of a data set have annotations, for a message."""
    path = dataset.get('ann_file') if isinstance(dataset, Mapping) else None
    return f', whose annotations are in {str(path)!r},' if path else ''


def check_annotation_files(dataset: Any) -> None:
    """Refuse settings of data by which files run code as they are read.

    Raises:
        ConfigError: If one names a pickle or YAML file as ``ann_file``, or
            under another key that ends so.
    """
    for key, path in iter_items(dataset):
        if str(key).endswith('_file') and isinstance(
                path, (str, PurePath)) and _kind(path) in _RUN_CODE:
            raise ConfigError(
                f'{key} {str(path)!r} is not read, because a file of that '
                'kind can run code: write the annotations as .json or .txt')


def _kind(path: str | PurePath) -> str:
    return str(path).split('.')[-1].lower()
