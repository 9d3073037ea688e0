"""Convert files of the official models to ours, and back."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmcls_repmlp.checkpoints import (Recognized, convert_to_mmcls,
                                      convert_to_official, newest_checkpoint,
                                      read_checkpoint, recognize,
                                      recognize_resmlp, state_dict_of,
                                      write_checkpoint)
from mmcls_repmlp.checkpoints.official import RenameTable, table_of
from mmcls_repmlp.host import MODELS
from mmcls_repmlp.host.model_index import config_of, indexed_models
from mmcls_repmlp.models import resolve_arch
from mmcls_repmlp.models.compatibility import (explain_mismatch, find_mismatch,
                                               is_merged)
from mmcls_repmlp.models.resmlp.resmlp import resolve_resmlp_arch
from mmcls_repmlp.version import __version__
from repmlp_lite.console import say
from repmlp_lite.errors import CheckpointError, UserError, option
from repmlp_lite.files import check_writable

from .shared.config import read_config
from .shared.model import build_on_meta

Size = tuple[int, int]
Weights = Mapping[str, Tensor]
# Name, config, and weights, of which there are the shapes alone.
Published = tuple[str, Path, Weights]
# How a model of any size is recognised, and its variant is named.
_KINDS: dict[str, tuple[Callable, Callable]] = dict(
    RepMLPNet=(recognize, resolve_arch),
    ResMLP=(recognize_resmlp, resolve_resmlp_arch))


def convert(src: str | Path,
            dst: str | Path,
            *,
            to_official: bool = False,
            arch: str | None = None,
            img_size: Size | None = None,
            **options: Any) -> None:
    """Convert by one of the two functions below, with the same arguments.

    Args:
        src: File to convert, or its URL.
        dst: File to write.
        to_official: Whether to convert to an official file. Defaults to
            False: from one.
        arch: As of :func:`convert_from_official`, and for it only.
        img_size: As of :func:`convert_from_official`, and for it only.
        options: ``key`` and ``force``.

    Raises:
        UserError: As they do, and for arguments that do not go together.
    """
    if not to_official:
        convert_from_official(
            src, dst, arch=arch, img_size=img_size, **options)
    elif arch is not None or img_size is not None:
        raise UserError(
            f'{option("arch", ...)} and {option("img_size", ...)} do not go '
            f'with {option("to_official")}: drop them')
    else:
        convert_to_official_file(src, dst, **options)


def convert_from_official(src: str | Path,
                          dst: str | Path,
                          *,
                          arch: str | None = None,
                          img_size: Size | None = None,
                          key: str | None = None,
                          force: bool = False) -> Recognized:
    """Convert a file of official weights to a checkpoint of ours.

    Args:
        src: Path or URL of the official file, of training or deploy form: a
            RepMLPNet or ResMLP of any size (timm's or the original one), or a
            RepMLP-ResNet of the configs here.
        dst: Checkpoint to write.
        arch: Variant that it must be. Defaults to whatever its shapes say.
        img_size: Height and width of the images trained on. Defaults to
            square ones, by the shapes.
        key: Entry of ``src`` that holds the weights. Defaults to the only one.
        force: Whether an existing file is replaced. Defaults to False.

    Returns:
        The model that the file holds.

    Raises:
        UserError: If a file is not usable, holds no such model, or exists.
    """
    src, weights = _read(src, dst, key, force)
    if all(name.startswith(('backbone.', 'head.')) for name in weights):
        raise CheckpointError(
            f'checkpoint {str(src)!r} has the names of OpenMMLab already: use '
            f'it as it is, or pass {option("to_official")} for the way back')
    table = table_of(weights)
    try:
        converted = convert_to_mmcls(weights, table)
        found, configs = _identify(converted, table, img_size)
    except CheckpointError as error:
        raise CheckpointError(
            f'checkpoint {str(src)!r} is no official {table.backbone}: '
            f'{error}; {_closest(weights, table)}') from error
    if arch is not None and not _is_variant(found, table, arch):
        raise CheckpointError(f'checkpoint {str(src)!r} is {found.name}, not '
                              f'arch {arch!r}: check the file, or drop '
                              f'{option("arch", ...)}')
    say(f'this is {found.name}, '
        f'{"deploy" if is_merged(converted) else "training"} form')
    say(f'writing {dst}')
    meta = dict(mmcls_repmlp_version=__version__, model=found.name)
    write_checkpoint(dict(meta=meta, state_dict=converted), dst, force)
    for i, config in enumerate(configs):
        say(f'      or with {config}, see docs/model_zoo.md'
            if i else f'next: repmlp test {config} {dst} --metrics accuracy')
    if not configs:
        say('next: no config here is for this model: write one with '
            f'model = {found.classifier}')
    return found


def convert_to_official_file(src: str | Path,
                             dst: str | Path,
                             *,
                             key: str | None = None,
                             force: bool = False) -> None:
    """Convert a checkpoint of ours to a plain official state dict.

    Args:
        src: Path or URL of a RepMLPNet, ResMLP or RepMLP-ResNet classifier.
            A ResMLP gets the names of timm.
        dst: File to write.
        key: Entry of ``src`` that holds the weights. Defaults to the only one.
        force: Whether an existing file is replaced. Defaults to False.

    Raises:
        UserError: If it is not usable, or the official model lacks a name.
    """
    src, weights = _read(src, dst, key, force)
    try:
        converted = convert_to_official(weights, table_of(weights))
    except CheckpointError as error:
        raise CheckpointError(
            f'checkpoint {str(src)!r} cannot be converted: {error}') from error
    say(f'writing {dst}')
    write_checkpoint(converted, dst, force)


def published_models(backbone: str, deploy: bool) -> Iterator[Published]:
    """Build the published models with a type of backbone, without memory."""
    for model in indexed_models():
        config = config_of(model, deploy).resolve()
        cfg = read_config(config)
        settings, here = cfg.model.backbone, Path.cwd()
        if settings.type == backbone:
            if config.is_relative_to(here):
                config = config.relative_to(here)
            yield model.name, config, build_on_meta(cfg).state_dict()


def _read(src: str | Path, dst: str | Path, key: str | None,
          force: bool) -> tuple[str | Path, Weights]:
    src = newest_checkpoint(src)
    check_writable(dst, force, src)
    say(f'reading {src}')
    return src, state_dict_of(read_checkpoint(src), src, key)


def _identify(weights: Weights, table: RenameTable,
              img_size: Size | None) -> tuple[Recognized, list[Path]]:
    """Identify a model, and the configs here that build it."""
    found = None
    if table.backbone in _KINDS:
        found = _KINDS[table.backbone][0](weights, img_size)
        with torch.device('meta'):
            expected = MODELS.build(found.classifier).state_dict()
        mismatch = find_mismatch(expected, weights)
        if mismatch:
            raise CheckpointError(f'{explain_mismatch(mismatch)} ({mismatch})')
    matches = [(name, config) for name, config, expected in published_models(
        table.backbone, is_merged(weights))
               if not find_mismatch(expected, weights)]
    if found is None:
        if not matches:
            raise CheckpointError('no config here has these names and shapes')
        name, config = matches[0]
        found = Recognized(name, None, read_config(config).model)
    return found, [config for _, config in matches]


def _is_variant(found: Recognized, table: RenameTable, arch: str) -> bool:
    if table.backbone not in _KINDS:
        return False
    with suppress(ValueError):  # the name of another kind's variant
        return found.arch == _KINDS[table.backbone][1](arch)
    return False


def _closest(weights: Weights, table: RenameTable) -> str:
    """Name the published model that differs least, and what differs."""
    named: dict[str, Tensor] = {}
    for key, value in weights.items():
        with suppress(CheckpointError):
            key, = convert_to_mmcls({key: value}, table)
        named[key] = value
    count, name, difference = min(
        (sum(map(len, (found.missing, found.unexpected, found.misshaped))),
         name, str(found)) for deploy in (False, True)
        for name, _, expected in published_models(table.backbone, deploy)
        if (found := find_mismatch(expected, named)))
    if count >= len(named) / 2:
        return 'no published model is close to it'
    return (f'closest is {name}, which differs in {count} of {len(named)} '
            f'entries: {difference}')
