"""Data sets: what they are made of, and what is not read."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from mmengine.dataset import BaseDataset

from mmcls_repmlp.errors import ConfigError

from .settings import pairs

# Kinds of files that mmengine reads by running what they say. It takes for
# the kind what follows the last dot, or all of a name without any.
_RUN_CODE = ('pkl', 'pickle', 'yaml', 'yml')


def parts(dataset: BaseDataset) -> Iterator[BaseDataset]:
    """Look into data sets that repeat, balance or concatenate others."""
    inner = inside(dataset)
    if not inner:
        yield dataset
    for part in inner:
        yield from parts(part)


def inside(dataset: BaseDataset) -> list[BaseDataset]:
    """Name the data sets that one is made of; none if it holds the data."""
    single = getattr(dataset, 'dataset', None)
    return list(getattr(dataset, 'datasets',
                        ())) or ([] if single is None else [single])


def check_samples(dataset: BaseDataset, what: str) -> None:
    """Refuse a data set without a sample.

    Raises:
        ConfigError: If it is empty.
    """
    if not len(dataset):
        files = [
            part.ann_file for part in parts(dataset)
            if getattr(part, 'ann_file', '')
        ]
        where = f' (its list is {files[0]!r})' if files else ''
        raise ConfigError(f'{what} is empty{where}: there is nothing to do')


def described(dataset: Any) -> str:
    """Tell where the annotations of a data set are, for a message.

    Args:
        dataset: The settings of a data set.
    """
    path = dataset.get('ann_file') if isinstance(dataset, Mapping) else None
    return f', whose annotations are in {str(path)!r},' if path else ''


def check_annotation_files(dataset: Any) -> None:
    """Refuse annotation files that are read by running what they say.

    Args:
        dataset: The settings of a data set, with others within.

    Raises:
        ConfigError: If one names a pickle or YAML file as ``ann_file``, or
            under another key that ends so.
    """
    for key, path in pairs(dataset):
        if str(key).endswith('_file') and isinstance(
                path, (str, PurePath)) and _kind(path) in _RUN_CODE:
            raise ConfigError(
                f'{key} {str(path)!r} is not read, because a file of that '
                'kind can run code: write the annotations as .json or .txt')


def _kind(path: str | PurePath) -> str:
    return str(path).split('.')[-1].lower()
