"""Building and checking of a config's data loaders and loops."""
from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager, suppress
from itertools import product
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmcls_repmlp.host import DATASETS
from mmcls_repmlp.recipe.settings import iter_items
from repmlp_lite.console import track, warn
from repmlp_lite.errors import (ConfigError, first_few, option, pluralize,
                                translate)

from .config import config_errors

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def set_loader_defaults(config: Config) -> None:
    """Complete the data loaders as the host's own tools do.

    A part of a folder that no other loader has the rest of becomes the whole.
    """
    _drop_lone_parts(config)
    for name in _LOADERS:
        loader = config.get(name)
        if loader is not None:
            loader.setdefault('collate_fn', dict(type='default_collate'))
            # Without an accelerator, torch would warn.
            loader.pin_memory = torch.cuda.is_available() and loader.get(
                'pin_memory', True)
            # torch refuses persistent workers if there are none.
            workers = loader.get('num_workers', 0) > 0
            loader.persistent_workers = workers and loader.get(
                'persistent_workers', True)


def _drop_lone_parts(config: Config) -> None:
    """Take all images of a folder unless train and another loader share it.

    A part that a training run held out of its folder means nothing in the
    folder that an option or a child config puts in its place.
    """
    parts = {
        name: [(dataset, _place(dataset))
               for _, dataset in iter_items(config.get(name))
               if isinstance(dataset, dict) and dataset.get('part')]
        for name in _LOADERS
    }
    train, val, test = parts.values()
    for name, own in parts.items():
        rest = val + test if name == _LOADERS[0] else train
        for dataset, place in own:
            if rest and place not in [other for _, other in rest]:
                dataset['part'] = None
                warn(f'{name} takes all images of {place[0]!r}: the config '
                     f'splits {rest[0][1][0]!r}, which is another folder; to '
                     'split this one, name it in train_dataloader too. Images '
                     'that were trained on may be among them')


def _place(dataset: Mapping[str, Any]) -> tuple[str, str]:
    root, prefix = (
        str(dataset.get(key) or '') for key in ('data_root', 'data_prefix'))
    path = os.path.join(os.path.expanduser(root), prefix)
    return os.path.realpath(path), str(dataset.get('ann_file') or '')


def loader_config(config: Config, phase: str) -> ConfigDict:
    """Complete and return the settings of the loader of a phase.

    Raise ConfigError, which names the others, if the config lacks it.
    """
    if config.get(f'{phase}_dataloader') is None:
        found = [name for name in _LOADERS if config.get(name) is not None]
        raise ConfigError(f'the config has no {phase}_dataloader (it has '
                          f'{" and ".join(found) or "none at all"})')
    set_loader_defaults(config)
    return config[f'{phase}_dataloader']


def open_loader(config: Config, phase: str) -> DataLoader:
    """Build the loader of a phase: 'train', 'val' or 'test'.

    Raise ConfigError if its data is missing, empty or malformed.
    """
    settings = loader_config(config, phase)
    with data_errors(config, phase):
        loader = Runner.build_dataloader(settings)
    check_samples(loader.dataset, phase)
    return loader


def build_loop(runner: Runner, phase: str) -> None:
    """Build a loop of a runner with its data, as :func:`open_loader` does."""
    with data_errors(runner.cfg, phase):
        loop = getattr(runner, f'{phase}_loop')
    check_samples(loop.dataloader.dataset, phase)


def batches(loader: DataLoader) -> Iterator[dict[str, Any]]:
    """Iterate over a loader of images once, with a progress bar."""
    yield from track(loader, 'testing', len(loader),
                     lambda batch: len(batch['inputs']))


@contextmanager
def data_errors(config: Config, phase: str) -> Iterator[None]:
    """Check the settings of a phase's data, and translate errors of building.

    Raise ConfigError if an annotation file could run code.
    """
    data = config[f'{phase}_dataloader'].get('dataset') or {}
    check_annotation_files(data)
    # Data sets that the host downloads have a prefix but no root.
    key = next((key for key in ('data_root', 'data_prefix')
                if data.get(key) and isinstance(data[key], str)), 'data_root')
    url = getattr(DATASETS.get(str(data.get('type'))), 'url', None)
    place = f'{phase}_dataloader.dataset.{key}=FOLDER'
    path = data.get('ann_file')
    lists = f', whose annotations are in {str(path)!r},' if path else ''
    with config_errors(f'the {phase} data{lists} or {phase} loop of the '
                       'config cannot be built'), translate(
                           ConfigError,
                           f'the {phase} data set in {data.get(key, "")!r} '
                           f'cannot be read: put {url or "it"} there, or name '
                           f'its folder with {option("cfg_options", place)}',
                           OSError, RuntimeError):
        try:
            yield
        except ValueError as error:
            # From numpy, when mmengine concatenates an empty list of samples.
            if 'at least one array' not in str(error):
                raise
            check_samples((), phase)


def check_annotation_files(dataset: Any) -> None:
    """Raise ConfigError if settings name annotations that could run code.

    mmengine takes the format of a file from the end of its name after the last
    dot, or from the whole name if it has no dot.
    """
    for key, path in iter_items(dataset):
        kind = str(path).rsplit('.', 1)[-1].lower()
        if str(key).endswith('_file') and kind in ('pkl', 'pickle', 'yaml',
                                                   'yml'):
            raise ConfigError(
                f'{key} {str(path)!r} is not read, because a file of that '
                'kind can run code: write the annotations as .json or .txt')


def levels(dataset: BaseDataset) -> Iterator[BaseDataset]:
    """Iterate over a data set and all data sets nested in it."""
    yield dataset
    for part in _inside(dataset):
        yield from levels(part)


def leaf_datasets(dataset: BaseDataset) -> Iterator[BaseDataset]:
    """Iterate over the innermost data sets, which hold the samples."""
    return (level for level in levels(dataset) if not _inside(level))


def _inside(dataset: BaseDataset) -> Sequence[BaseDataset]:
    single = getattr(dataset, 'dataset', None)
    return getattr(dataset, 'datasets', () if single is None else (single, ))


def reads_bgr(dataset: BaseDataset) -> bool:
    """Return whether images are files, read as BGR, and not pixels as RGB."""
    return not any('img' in part.get_data_info(0)
                   for part in leaf_datasets(dataset)
                   if hasattr(part, 'get_data_info'))


def normalization_of(dataset: BaseDataset) -> dict[str, Any] | None:
    """Return the settings of a pipeline's own normalisation, if it has one."""
    for part in leaf_datasets(dataset):
        for step in getattr(getattr(part, 'pipeline', None), 'transforms', ()):
            if type(step).__name__ == 'Normalize':
                return dict(mean=step.mean, std=step.std, to_rgb=step.to_rgb)
    return None


def warn_of_trained_images(config: Config, test: BaseDataset) -> None:
    """Warn of tested images that the config's training run was given."""
    train = (config.get('train_dataloader') or {}).get('dataset')
    tested = config.test_dataloader.dataset
    if not isinstance(train, Mapping) or not any(
            _overlap(_place(train)[0], folder) for folder in _prefixes(test)):
        return
    sides = train.get('part'), tested.get('part')
    if sides == ('train', 'val') and _place(train) == _place(tested) and (
            train.get('val_share') == tested.get('val_share')):
        return
    with suppress(Exception):  # it may be gone by now
        trained = _image_paths(DATASETS.build(copy.deepcopy(train)))
        paths = _image_paths(test)
        if paths & trained:
            warn(f'warning: {len(paths & trained)} of the {len(paths)} images '
                 'to test were trained on: scores on them say nothing about '
                 'new images')


def describe_data(dataset: Any, purpose: str = '') -> str:
    """Describe a built data set: '6 of 30 images, in photos (part val)'.

    ``purpose`` follows the number of images.
    """
    leaves: list[Any] = [*leaf_datasets(dataset)]
    count, found = len(dataset), sum(
        getattr(leaf, 'found', len(leaf)) for leaf in leaves)
    images = (f'{count} of {found} images' if count < found else pluralize(
        count, 'image'))
    places = {
        folder_of(leaf).rstrip('/') +
        (f' (part {leaf.part})' if getattr(leaf, 'part', None) else '')
        for leaf in leaves if getattr(leaf, 'data_root', '')
    }
    folders = f', in {first_few(sorted(places))}' if places else ''
    return images + purpose + folders


def warn_of_shared_images(train: BaseDataset, val: BaseDataset) -> None:
    """Warn of images to validate that are also trained on."""
    if not any(
            _overlap(*pair)
            for pair in product(_prefixes(train), _prefixes(val))):
        return  # at the cost of no list of images
    paths = _image_paths(val)
    shared = sorted(paths & _image_paths(train))
    if shared:
        warn(f'warning: {len(shared)} of the {len(paths)} images to validate '
             f'are also trained on ({first_few(shared)}): scores on them say '
             'nothing about new images')


def _prefixes(dataset: BaseDataset) -> list[str]:
    folders = map(folder_of, leaf_datasets(dataset))
    return [*map(os.path.realpath, filter(None, folders))]


def folder_of(leaf: Any) -> str:
    """Return the folder of a data set's images, or ''."""
    # The host's img_prefix fails where data_prefix names no images.
    prefix = getattr(leaf, 'data_prefix', None)
    folders = [*prefix.values()] if isinstance(prefix, Mapping) else [prefix]
    root = getattr(leaf, 'data_root', None)
    return str(next(filter(None, [*folders, root]), ''))


def _overlap(one: str, other: str) -> bool:
    return os.path.commonpath([one, other]) in (one, other)


def _image_paths(dataset: BaseDataset) -> set[str]:
    infos = map(dataset.get_data_info, range(len(dataset)))
    return {
        os.path.realpath(info['img_path'])
        for info in infos if 'img_path' in info
    }


def check_samples(dataset: Sized, phase: str) -> None:
    """Raise ConfigError if the data set of a phase has no sample."""
    if not len(dataset):
        raise ConfigError(f'the {phase} data set is empty: add samples, or '
                          'choose other data')
