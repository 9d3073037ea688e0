"""Training on a user's folder of photos instead of a config's data."""
from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from mmengine.config import Config

from mmcls_repmlp.recipe.datasets import find_parts, subfolders
from mmcls_repmlp.recipe.settings import set_classes
from repmlp_lite.console import say
from repmlp_lite.errors import ConfigError, UserError, first_few, option

from .model import own_backbone

# Settings that the folder replaces: of data sets, all except the pipeline.
_UNUSED = re.compile(r'\w+_dataloader\.dataset(?!\.pipeline\b)|'
                     r'\w+_dataloader$|model\.head\.num_classes$')


def use_folder(cfg: Config, folder: str | Path,
               options: Collection[str] = ()) -> None:
    """Change a config to train on a folder of photos, and fit its head.

    The folder holds one subfolder for each class, or ``train`` and optionally
    ``val`` and ``test`` folders of such subfolders, see :func:`find_parts`.
    Without ``val``, about a fifth of the photos is held out, each by its
    content alone. ``options`` are dotted keys that the user changed.

    Raise UserError if the folder has no such subfolders, the work folder lies
    among its classes, or an option sets data that is not used.
    """
    unused = next(filter(_UNUSED.match, options), None)
    if unused:
        raise UserError(f'{option("data", ...)} replaces the data sets and '
                        f'classes of the config, so {unused!r} would have no '
                        'effect: drop one of the two')
    folder = _check_folder(folder)
    parts = find_parts(folder)
    train = folder / parts.get('train', '')
    classes = subfolders(train)
    if len(classes) < 2:
        raise UserError(
            f'folder {str(train)!r} has fewer than two subfolders '
            f'({first_few(classes) or "none"}): put the photos of each of '
            'two or more classes into a subfolder of its own')
    if Path(cfg.work_dir).resolve().is_relative_to(train.resolve()):
        raise UserError(
            f'the work folder {cfg.work_dir!r} would become a class of '
            f'{str(train)!r}: choose one elsewhere with '
            f'{option("work_dir", ...)}')
    split = 'val' not in parts
    for phase in ('train', 'val', 'test'):
        place = parts.get(phase, parts.get('train' if split else 'val', ''))
        part = 'train' if phase == 'train' else 'val'
        held_out = split and place == parts.get('train', '')
        _set_dataset(cfg, phase, folder, place, part if held_out else None)
    set_classes(cfg, len(classes))
    fit_head(cfg, options)
    how = (f'about a fifth of the photos in {str(train)!r} is held out to '
           'validate, each by its content'
           if split else f'{str(folder / parts["val"])!r} is used to validate')
    used = parts.values() or subfolders(folder)
    others = sorted({*subfolders(folder)} - {*used})
    how += f'; not used: {first_few(others)}' if others else ''
    say(f'{len(classes)} classes ({first_few(classes)}); {how}')


def use_test_folder(cfg: Config, folder: str | Path) -> None:
    """Change a config to test on all photos of a folder.

    The folder holds one subfolder for each class; or a folder ``test``, else
    ``val``, of such subfolders. Raise UserError if it has no such subfolders.
    """
    folder = _check_folder(folder)
    parts = find_parts(folder)
    place = parts.get('test', parts.get('val', '')) if parts else ''
    if parts and not place:
        raise UserError(f'folder {str(folder)!r} has no subfolder test or val '
                        f'to test on, only {first_few([*parts.values()])}')
    _set_dataset(cfg, 'test', folder, place, None)


def _check_folder(folder: str | Path) -> Path:
    if not Path(folder).is_dir():
        raise UserError(f'{str(folder)!r} is not a folder: give one with a '
                        'subfolder of photos for each class')
    return Path(folder)


def _set_dataset(cfg: Config, phase: str, folder: Path, prefix: str,
                 part: str | None) -> None:
    loader = cfg.get(f'{phase}_dataloader')
    if loader is None:
        return
    if {'dataset', 'datasets'} & {*loader.dataset}:
        raise ConfigError(
            f'the {phase} data set of the config is wrapped in '
            f'{loader.dataset.get("type")!r}, which {option("data", ...)} '
            'cannot replace: choose or write a config without the wrapper')
    pipeline = loader.dataset.get('pipeline') or []
    if not pipeline or pipeline[0].get('type') != 'LoadImageStrict':
        raise ConfigError(
            f'the {phase} data of the config are not image files: choose a '
            'config whose pipeline begins with LoadImageFromFile, such as '
            'configs/repmlp/repmlp-tiny_ft_custom.py')
    loader.dataset = dict(
        type='ImageFolder',
        data_root=str(folder),
        data_prefix=prefix,
        part=part,
        pipeline=pipeline)


def fit_head(cfg: Config, options: Collection[str] = ()) -> None:
    """Fit the width of the head to the ``arch`` and stages of the backbone.

    Change the head's ``in_channels``, if it has any, unless the user set it or
    the backbone is not one of this package.
    """
    head, neck = cfg.model.get('head'), cfg.model.get('neck')
    pools = neck is None or (isinstance(neck, dict)
                             and neck.get('type') == 'GlobalAveragePooling')
    if not (pools and isinstance(head, dict) and 'in_channels' in head
            and 'model.head.in_channels' not in options):
        return
    backbone = own_backbone(cfg)
    if backbone is not None:
        last = backbone.feature_info[backbone.out_indices[-1]]
        head['in_channels'] = last['num_chs']
