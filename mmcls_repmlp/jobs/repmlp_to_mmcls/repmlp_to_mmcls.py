"""Convert files of the official models to ours, and back."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from mmcls_repmlp.checkpoints import (convert_to_mmcls, convert_to_official,
                                      newest_checkpoint, read_checkpoint,
                                      recognize, state_dict_of,
                                      write_checkpoint)
from mmcls_repmlp.checkpoints.official import (BACKBONES, NAMES, RESNET_NAMES,
                                               Names)
from mmcls_repmlp.host import MODELS
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.models import Arch, resolve_arch
from mmcls_repmlp.models.compatibility import (explain_mismatch, find_mismatch,
                                               is_merged)
from mmcls_repmlp.version import __version__
from repmlp_lite.errors import CheckpointError, option
from repmlp_lite.files import check_writable

from .published import describe_closest, published_models

_OURS = ('backbone.', 'head.')
_RESNET = ('stage0.', 'backbone.stage0.')
Size = tuple[int, int]
T = TypeVar('T')


class Identified(NamedTuple):
    """What a file was found to hold.

    Attributes:
        name: Name such as 'B224', or the one in the model index.
        details: What else the shapes say.
        model: Config of the model that the weights fill.
        configs: Configs here that are of this model.
        arch: Variant of a RepMLPNet, None for other models.
    """
    name: str
    details: str
    model: Mapping[str, Any]
    configs: list[Path]
    arch: Arch | None = None


def convert_from_official(src: str | Path,
                          dst: str | Path,
                          arch: str | None = None,
                          img_size: Size | None = None,
                          key: str | None = None,
                          force: bool = False,
                          report: Callable[[str], None] = print) -> Identified:
    """Convert a file of official weights to a checkpoint of ours.

    Args:
        src: Path or URL of the official file, of training or deploy form: a
            RepMLPNet of any size, or a RepMLP-ResNet of the configs here.
        dst: Checkpoint to write.
        arch: Variant that it must be. Defaults to whatever its shapes say.
        img_size: Height and width of the images trained on. Defaults to
            square ones, by the shapes.
        key: Entry of ``src`` that holds the weights. Defaults to the only one.
        force: Whether an existing file is replaced. Defaults to False.
        report: Called with a line for every step. Defaults to print.

    Returns:
        What was identified.

    Raises:
        UserError: If the file is not usable, holds no such model, or would
            overwrite another.
    """
    src = newest_checkpoint(src)
    check_writable(dst, force, src)
    report(f'[1/3] reading {src}')
    weights = state_dict_of(read_checkpoint(src), src, key)
    if all(name.startswith(_OURS) for name in weights):
        raise CheckpointError(
            f'checkpoint {str(src)!r} has the names of OpenMMLab already: use '
            f'it as it is, or pass {option("to_official")} for the way back')
    names = _names_of(weights)
    try:
        converted = convert_to_mmcls(weights, names)
        found = (
            _identify_repmlpnet(converted, img_size)
            if names is NAMES else _identify_resnet(converted))
    except CheckpointError as error:
        raise CheckpointError(
            f'checkpoint {str(src)!r} is no official {BACKBONES[names]}: '
            f'{error}; {_closest(weights, names)}') from error
    if arch is not None and found.arch != resolve_arch(arch):
        raise CheckpointError(f'checkpoint {str(src)!r} is {found.name}, not '
                              f'arch {arch!r}: check the file, or drop '
                              f'{option("arch", ...)}')
    report(f'[2/3] this is {found.name}, {found.details}')
    report(f'[3/3] writing {dst}')
    meta = dict(mmcls_repmlp_version=__version__, model=found.name)
    write_checkpoint(dict(meta=meta, state_dict=converted), dst, force)
    report(_next_step(found, dst))
    return found


def convert_to_official_file(src: str | Path,
                             dst: str | Path,
                             key: str | None = None,
                             force: bool = False,
                             report: Callable[[str], None] = print) -> None:
    """Convert a checkpoint of ours to a plain official state dict.

    Args:
        src: Path or URL of a checkpoint of a RepMLPNet or RepMLP-ResNet
            classifier.
        dst: File to write.
        key: Entry of ``src`` that holds the weights. Defaults to the only one.
        force: Whether an existing file is replaced. Defaults to False.
        report: Called with a line for every step. Defaults to print.

    Raises:
        UserError: If the checkpoint is not usable, or holds what the official
            model has no name for.
    """
    src = newest_checkpoint(src)
    check_writable(dst, force, src)
    report(f'[1/2] reading {src}')
    weights = state_dict_of(read_checkpoint(src), src, key)
    try:
        converted = convert_to_official(weights, _names_of(weights))
    except CheckpointError as error:
        raise CheckpointError(
            f'checkpoint {str(src)!r} cannot be converted: {error}') from error
    report(f'[2/2] writing {dst}')
    write_checkpoint(converted, dst, force)


def _names_of(weights: Mapping[str, Tensor]) -> Names:
    resnet = any(name.startswith(_RESNET) for name in weights)
    return RESNET_NAMES if resnet else NAMES


def _identify_repmlpnet(weights: Mapping[str, Tensor],
                        img_size: Size | None) -> Identified:
    found = recognize(weights, img_size)
    with torch.device('meta'):
        model = MODELS.build(found.classifier())
    mismatch = find_mismatch(model.state_dict(), weights)
    if mismatch:
        raise CheckpointError(f'{explain_mismatch(mismatch)} ({mismatch})')
    arch, (height, width) = found.arch, found.img_size
    details = (f'{_form(weights)}: channels {arch.channels}, depths '
               f'{arch.depths}, sharesets {arch.sharesets_nums}, images of '
               f'{height}x{width}, {found.num_classes or "no"} classes')
    configs = [
        published.config
        for published in published_models('RepMLPNet', found.deploy, arch)
        if not find_mismatch(published.weights, weights)
    ]
    return Identified(found.name, details, found.classifier(), configs, arch)


def _identify_resnet(weights: Mapping[str, Tensor]) -> Identified:
    for published in published_models('RepMLPResNet', is_merged(weights)):
        if not find_mismatch(published.weights, weights):
            model = read_config(published.config).model
            return Identified(published.name, _form(weights), model,
                              [published.config])
    raise CheckpointError('no config here has these names and shapes')


def _form(weights: Mapping[str, Tensor]) -> str:
    return f'{"deploy" if is_merged(weights) else "training"} form'


def _next_step(found: Identified, dst: str | Path) -> str:
    if not found.configs:
        return ('next: no config here is for this model; write one with '
                f'model=dict(backbone={found.model["backbone"]}, ...)')
    first, *others = found.configs
    return '\n'.join([
        f'next: python tools/test.py {first} {dst} --metrics accuracy',
        *(f'      or with {other}, see docs/model_zoo.md' for other in others)
    ])


def _closest(weights: Mapping[str, Tensor], names: Names) -> str:
    named = dict(_name_by_name(weights, names))
    if not any(name.startswith(_OURS) for name in named):
        return "none of its names is the official model's"
    return describe_closest(named, BACKBONES[names])


def _name_by_name(weights: Mapping[str, T],
                  names: Names) -> Iterator[tuple[str, T]]:
    for name, value in weights.items():
        try:
            yield from convert_to_mmcls({name: value}, names).items()
        except CheckpointError:
            yield name, value
