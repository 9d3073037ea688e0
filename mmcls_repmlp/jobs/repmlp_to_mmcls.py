"""Convert files of the official models to ours, and back."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmcls_repmlp.checkpoints import (convert_to_mmcls, convert_to_official,
                                      newest_checkpoint, read_checkpoint,
                                      recognize, state_dict_of,
                                      write_checkpoint)
from mmcls_repmlp.checkpoints.official import (REPMLP_RESNET, REPMLPNET,
                                               RenameTable)
from mmcls_repmlp.host import MODELS
from mmcls_repmlp.host.model_index import config_of, indexed_models
from mmcls_repmlp.models import Arch, resolve_arch
from mmcls_repmlp.models.compatibility import (explain_mismatch, find_mismatch,
                                               is_merged)
from mmcls_repmlp.version import __version__
from repmlp_lite.console import say
from repmlp_lite.errors import CheckpointError, option
from repmlp_lite.files import check_writable

from .shared.config import read_config
from .shared.model import build_on_meta

_OURS = ('backbone.', 'head.')
_RESNET = ('stage0.', 'backbone.stage0.')
Weights = Mapping[str, Tensor]


class Identified(NamedTuple):
    """Model whose weights a file holds, and the configs here that build it."""
    name: str
    model: Mapping[str, Any]
    configs: list[Path]
    arch: Arch | None = None


class Published(NamedTuple):
    """Model of the model index in one form; of its weights, shapes alone."""
    name: str
    config: Path
    weights: Weights


def convert_from_official(src: str | Path,
                          dst: str | Path,
                          *,
                          arch: str | None = None,
                          img_size: tuple[int, int] | None = None,
                          key: str | None = None,
                          force: bool = False) -> Identified:
    """Convert a file of official weights to a checkpoint of ours.

    Args:
        src: Path or URL of the official file, in either form: a RepMLPNet of
            any size, or a RepMLP-ResNet of the configs here.
        dst: Checkpoint to write.
        arch: Variant that it must be. Defaults to whatever its shapes say.
        img_size: Height and width trained on. Defaults to square, by shapes.
        key: As of :func:`open_source`.
        force: Whether an existing file is replaced. Defaults to False.

    Raises:
        UserError: If the file holds no such model, or would replace another.
    """
    src, weights = _read(src, dst, key, force)
    if all(name.startswith(_OURS) for name in weights):
        raise CheckpointError(
            f'checkpoint {str(src)!r} has the names of OpenMMLab already: use '
            f'it as it is, or pass {option("to_official")} for the way back')
    table = _table_of(weights)
    try:
        converted = convert_to_mmcls(weights, table)
        found = _identify(converted, table, img_size)
    except CheckpointError as error:
        raise CheckpointError(
            f'checkpoint {str(src)!r} is no official {table.backbone}: '
            f'{error}; {_closest(weights, table)}') from error
    if arch is not None and found.arch != resolve_arch(arch):
        raise CheckpointError(f'checkpoint {str(src)!r} is {found.name}, not '
                              f'arch {arch!r}: check the file, or drop '
                              f'{option("arch", ...)}')
    form = 'deploy' if is_merged(converted) else 'training'
    say(f'this is {found.name}, {form} form\nwriting {dst}')
    meta = dict(mmcls_repmlp_version=__version__, model=found.name)
    write_checkpoint(dict(meta=meta, state_dict=converted), dst, force)
    if not found.configs:
        say('next: no config here is for this model: write one with '
            f'model = {found.model}')
    for i, config in enumerate(found.configs):
        say(f'{"or" if i else "next"}: python tools/test.py {config} {dst} '
            '--metrics accuracy')
    return found


def convert_to_official_file(src: str | Path,
                             dst: str | Path,
                             *,
                             key: str | None = None,
                             force: bool = False) -> None:
    """Convert a checkpoint of ours to a plain official state dict.

    Args:
        src: Path or URL of a RepMLPNet or RepMLP-ResNet classifier.
        dst: File to write.
        key: As of :func:`open_source`.
        force: Whether an existing file is replaced. Defaults to False.

    Raises:
        UserError: If the official model has no name for some of its weights.
    """
    src, weights = _read(src, dst, key, force)
    converted = convert_to_official(weights, _table_of(weights))
    say(f'writing {dst}')
    write_checkpoint(converted, dst, force)


def published_models(backbone: str,
                     deploy: bool,
                     arch: Arch | None = None) -> Iterator[Published]:
    """Build the published models with a type of backbone, without memory."""
    for model in indexed_models():
        config = config_of(model, deploy).resolve()
        cfg = read_config(config)
        settings = cfg.model.backbone
        if settings.type == backbone and arch in (
                None, resolve_arch(settings.get('arch', 'b'))):
            if config.is_relative_to(Path.cwd()):
                config = config.relative_to(Path.cwd())
            yield Published(model.name, config,
                            build_on_meta(cfg).state_dict())


def _read(src: str | Path, dst: str | Path, key: str | None,
          force: bool) -> tuple[str | Path, Weights]:
    src = newest_checkpoint(src)
    check_writable(dst, force, src)
    say(f'reading {src}')
    return src, state_dict_of(read_checkpoint(src), src, key)


def _table_of(weights: Weights) -> RenameTable:
    resnet = any(name.startswith(_RESNET) for name in weights)
    return REPMLP_RESNET if resnet else REPMLPNET


def _identify(weights: Weights, table: RenameTable,
              img_size: tuple[int, int] | None) -> Identified:
    found = recognize(weights, img_size) if table is REPMLPNET else None
    if found is not None:
        with torch.device('meta'):
            expected = MODELS.build(found.classifier).state_dict()
        mismatch = find_mismatch(expected, weights)
        if mismatch:
            raise CheckpointError(f'{explain_mismatch(mismatch)} ({mismatch})')
    kind = table.backbone, is_merged(weights), found and found.arch
    matches = [
        model for model in published_models(*kind)
        if not find_mismatch(model.weights, weights)
    ]
    configs = [model.config for model in matches]
    if found is not None:
        return Identified(found.name, found.classifier, configs, found.arch)
    if not matches:
        raise CheckpointError('no config here has these names and shapes')
    return Identified(matches[0].name, read_config(configs[0]).model, configs)


def _closest(weights: Weights, table: RenameTable) -> str:
    """Name the published model that differs least, and what differs."""
    named: dict[str, Tensor] = {}
    for name, value in weights.items():
        try:
            named |= convert_to_mmcls({name: value}, table)
        except CheckpointError:
            named[name] = value
    count, name, difference = min(
        (sum(map(len, (found.missing, found.unexpected, found.misshaped))),
         model.name, str(found)) for deploy in (False, True)
        for model in published_models(table.backbone, deploy)
        if (found := find_mismatch(model.weights, named)))
    if count >= len(named) / 2:
        return 'no published model is close to it'
    return (f'closest is {name}, which differs in {count} of {len(named)} '
            f'entries: {difference}')
