"""Data sets within data sets that repeat, balance or concatenate them."""
from __future__ import annotations

from collections.abc import Iterator, Sequence

from mmengine.dataset import BaseDataset

from repmlp_lite.errors import ConfigError


def levels(dataset: BaseDataset) -> Iterator[BaseDataset]:
    """Iterate over a data set and all data sets within it."""
    yield dataset
    for part in _inside(dataset):
        yield from levels(part)


def leaf_datasets(dataset: BaseDataset) -> Iterator[BaseDataset]:
    """Iterate over the data sets within a data set that hold the samples."""
    return (level for level in levels(dataset) if not _inside(level))


def _inside(dataset: BaseDataset) -> Sequence[BaseDataset]:
    single = getattr(dataset, 'dataset', None)
    return getattr(dataset, 'datasets', () if single is None else (single, ))


def check_samples(dataset: BaseDataset, name: str) -> None:
    """Raise ConfigError if a data set, called by name, has no sample."""
    if not len(dataset):
        raise ConfigError(f'{name} is empty: add samples, or choose other '
                          'data')
