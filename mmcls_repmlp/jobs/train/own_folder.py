"""A folder of photos that stands for the data of a config."""
from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from repmlp_lite.console import say
from repmlp_lite.errors import ConfigError, UserError, first_few, option
from repmlp_lite.image_files import is_hidden

from .head_width import fit_head

_TRAIN, _VAL, _TEST = 'train', 'val', 'test'
_SPELLED = {
    **dict.fromkeys((_TRAIN, 'training'), _TRAIN),
    **dict.fromkeys((_VAL, 'valid', 'validation'), _VAL),
    **dict.fromkeys((_TEST, 'testing'), _TEST)
}
_SHARE = 0.2
# Settings of data sets, of which the pipeline alone is kept.
_IDLE = re.compile(r'\w+_dataloader\.dataset\.(?!pipeline\b)')


def use_folder(cfg: Config,
               folder: str | Path | None,
               options: Mapping[str, Any] | None = None) -> None:
    """Let a config train on a folder of photos, and count its classes.

    Args:
        cfg: The config; its data sets, and the number of classes and the
            width of its head, are changed. Its work folder is set.
        folder: With ``train``, and perhaps ``val`` and ``test``, of one
            subfolder for each class, also spelled ``Train`` or
            ``validation``; or with these subfolders themselves. Without
            ``val``, a fifth of every class is held out for it. None leaves
            the config's data.
        options: Settings that were changed in the config, by dotted key.
            Defaults to none.

    Raises:
        UserError: If the folder is none of that, or the work folder lies
            among its classes, or an option is about data that are not used.
        ConfigError: If the config does not train on image files.
    """
    if folder is None:
        return
    idle = [key for key in options or () if _IDLE.match(key)]
    if idle:
        raise UserError(
            f'{option("data", ...)} takes the place of the data '
            f'sets of the config, so that {idle[0]!r} would change '
            'nothing: leave one of them out')
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f'{str(folder)!r} is no folder: give one with a '
                        'subfolder of photos for each class')
    parts = _parts(folder)
    held = parts.get(_TRAIN, '')
    train = folder / held
    classes = _subfolders(train)
    if len(classes) < 2:
        raise UserError(
            f'folder {str(train)!r} has no two subfolders '
            f'({first_few(classes) or "none"}): put the photos of each class, of '
            'two or more, into a subfolder of its own')
    _check_apart(cfg, train)
    split = _VAL not in parts
    places = {
        _TRAIN: (held, _TRAIN if split else None),
        _VAL: (held, _VAL) if split else (parts[_VAL], None),
    }
    places[_TEST] = (parts[_TEST], None) if _TEST in parts else places[_VAL]
    for phase, (prefix, part) in places.items():
        _point(cfg, phase, folder, prefix, part)
    _count_classes(cfg, len(classes))
    fit_head(cfg, options or ())
    how = (f'a fifth of each class of {str(train)!r} is held out to validate'
           if split else f'{str(folder / parts[_VAL])!r} is used to validate')
    say(f'{len(classes)} classes ({first_few(classes)}); {how}')


def _parts(folder: Path) -> dict[str, str]:
    """Find the subfolders that stand for phases, by the phase.

    Where there are others, and those called so hold no subfolders, they are
    classes like these: a train is a vehicle, too.
    """
    names = _subfolders(folder)
    named = [name for name in names if name.casefold() in _SPELLED]
    if len(named) < len(names) and not any(
            _subfolders(folder / name) for name in named):
        return {}
    found = {_SPELLED[name.casefold()]: name for name in named}
    if named and (_TRAIN not in found or len(found) < len(named)):
        raise UserError(
            f'folder {str(folder)!r} has the subfolders {first_few(named)}: name '
            'them train, val and test, of which train is needed')
    return found


def _subfolders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()
                  if path.is_dir() and not is_hidden(path.name))


def _check_apart(cfg: Config, train: Path) -> None:
    work_dir = Path(cfg.work_dir)
    if work_dir.resolve().is_relative_to(train.resolve()):
        raise UserError(
            f'the work folder {str(work_dir)!r} would become a class of '
            f'{str(train)!r}: choose one elsewhere with '
            f'{option("work_dir", ...)}')


def _point(cfg: Config, phase: str, folder: Path, prefix: str,
           part: str | None) -> None:
    loader = cfg.get(f'{phase}_dataloader')
    if loader is None:
        return
    pipeline = loader.dataset.get('pipeline') or []
    if not pipeline or pipeline[0].get('type') != 'LoadImageStrict':
        raise ConfigError(
            f'the {phase} data of the config are no image files: take a '
            'config whose pipeline begins with LoadImageFromFile, such as '
            'configs/repmlp/repmlp-tiny_ft_custom.py')
    loader.dataset = dict(
        type='ImageFolder',
        data_root=str(folder),
        data_prefix=prefix,
        pipeline=pipeline,
        **{} if part is None else dict(part=part, val_share=_SHARE))


def _count_classes(cfg: Config, count: int) -> None:
    for settings in (cfg.model.get('head'), cfg.get('data_preprocessor')):
        if isinstance(settings, dict) and 'num_classes' in settings:
            settings['num_classes'] = count
    for settings in (cfg.model.get('head'), cfg.get('val_evaluator'),
                     cfg.get('test_evaluator')):
        if isinstance(settings, dict) and 'topk' in settings:
            settings['topk'] = tuple(
                k for k in _several(settings['topk']) if k <= count)


def _several(topk: Any) -> tuple[int, ...]:
    return (topk, ) if isinstance(topk, int) else tuple(topk)
