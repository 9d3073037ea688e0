"""Convert files of the official RepMLPNet to ours, and back."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from mmcls.registry import MODELS
from torch import Tensor

from mmcls_repmlp.checkpoints import (
    Recognized,
    check_fit,
    check_writable,
    convert_to_mmcls,
    convert_to_official,
    read_checkpoint,
    recognize,
    state_dict_of,
    write_checkpoint,
)
from mmcls_repmlp.errors import CheckpointError
from mmcls_repmlp.model_index import config_of, indexed_models
from mmcls_repmlp.models import Arch, resolve_arch
from mmcls_repmlp.models.compatibility import Mismatch, find_mismatch
from mmcls_repmlp.version import __version__

from .config import read_config
from .model import build_model

_OURS = 'backbone.'
Size = tuple[int, int]
T = TypeVar('T')


class Published(NamedTuple):
    """A published model, as its config builds it, without memory.

    Attributes:
        name: Name in the model index.
        config: Its config, of the training or the deploy form.
        weights: Its state dict, of shapes alone.
    """
    name: str
    config: Path
    weights: Mapping[str, Tensor]


def convert_from_official(src: str | Path,
                          dst: str | Path,
                          arch: str | None = None,
                          img_size: Size | None = None,
                          key: str | None = None,
                          force: bool = False,
                          report: Callable[[str], None] = print) -> Recognized:
    """Convert a file of official weights to a checkpoint of mmcls.

    Args:
        src: Path or URL of the official file, of training or deploy form.
        dst: Checkpoint to write.
        arch: Variant that it must be. Defaults to whatever its shapes say.
        img_size: Height and width of the images trained on. Defaults to
            square ones, by the shapes.
        key: Entry of the file that holds the weights. Defaults to the first
            of 'state_dict', 'model' and 'ema' that is there, or the file.
        force: Whether an existing file is replaced. Defaults to False.
        report: Called with a line for every step. Defaults to print.

    Returns:
        What was recognized.

    Raises:
        UserError: If the file is not usable, is no RepMLPNet, or would
            overwrite another.
    """
    check_writable(dst, force)
    report(f'[1/3] reading {src}')
    weights = state_dict_of(read_checkpoint(src), src, key)
    if all(name.startswith((_OURS, 'head.')) for name in weights):
        raise CheckpointError(
            f'checkpoint {str(src)!r} has the names of mmcls already: use it '
            'as it is, or pass --to-official for the way back')
    try:
        converted = convert_to_mmcls(weights)
        found = _recognized(converted, img_size, src)
    except CheckpointError as error:
        raise CheckpointError(
            f'checkpoint {str(src)!r} is no official RepMLPNet: {error}; '
            f'{_closest(weights)}') from error
    report(f'[2/3] {_describe(found)}')
    if arch is not None and found.arch != resolve_arch(arch):
        raise CheckpointError(f'checkpoint {str(src)!r} is {found.name}, not '
                              f'arch {arch!r}: check the file, or drop --arch')
    next_step = _next_step(found, converted, dst)
    report(f'[3/3] writing {dst}')
    meta = dict(mmcls_repmlp_version=__version__, model=found.name)
    write_checkpoint(dict(meta=meta, state_dict=converted), dst, force)
    report(next_step)
    return found


def convert_to_official_file(
        src: str | Path,
        dst: str | Path,
        key: str | None = None,
        force: bool = False,
        report: Callable[[str], None] = print) -> None:
    """Convert a checkpoint of mmcls to a plain official state dict.

    Args:
        src: Path or URL of a checkpoint of a RepMLPNet classifier.
        dst: File to write.
        key: Entry of the file that holds the weights. Defaults to the first
            of 'state_dict', 'model' and 'ema' that is there, or the file.
        force: Whether an existing file is replaced. Defaults to False.
        report: Called with a line for every step. Defaults to print.

    Raises:
        UserError: If the checkpoint is not usable, or holds what the official
            model has no name for.
    """
    check_writable(dst, force)
    report(f'[1/2] reading {src}')
    weights = state_dict_of(read_checkpoint(src), src, key)
    try:
        converted = convert_to_official(weights)
    except CheckpointError as error:
        raise CheckpointError(
            f'checkpoint {str(src)!r} cannot be converted: {error}') from error
    report(f'[2/2] writing {dst}')
    write_checkpoint(converted, dst, force)


def _recognized(weights: Mapping[str, Tensor], img_size: Size | None,
                src: str | Path) -> Recognized:
    found = recognize(weights, img_size)
    with torch.device('meta'):
        model = MODELS.build(found.classifier())
    check_fit(model, weights, src)
    return found


def _describe(found: Recognized) -> str:
    arch = found.arch
    form = 'deploy' if found.deploy else 'training'
    return (f'this is {found.name}, {form} form: channels {arch.channels}, '
            f'depths {arch.depths}, sharesets {arch.sharesets_nums}, images '
            f'of {found.img_size[0]}x{found.img_size[1]}, '
            f'{found.num_classes or "no"} classes')


def _next_step(found: Recognized, weights: Mapping[str, Tensor],
               dst: str | Path) -> str:
    configs = [published.config
               for published in _published(found.deploy, found.arch)
               if not find_mismatch(published.weights, weights)]
    if not configs:
        return ('next: no config here is for this model; write one with '
                f'model=dict(backbone={found.backbone()}, ...)')
    first, *others = configs
    return '\n'.join(
        [f'next: python tools/test.py {first} {dst} --metrics accuracy',
         *(f'      or with {other}, see docs/model_zoo.md'
           for other in others)])


def _published(deploy: bool,
               arch: Arch | None = None) -> Iterator[Published]:
    for model in indexed_models():
        config = config_of(model, deploy)
        cfg = read_config(config)
        backbone = cfg.model.backbone
        if backbone.type == 'RepMLPNet' and arch in (
                None, resolve_arch(backbone.arch)):
            with torch.device('meta'):
                weights = build_model(cfg).state_dict()
            yield Published(model.name, _as_typed(config), weights)


def _as_typed(path: Path) -> Path:
    here, path = Path.cwd(), path.resolve()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _closest(weights: Mapping[str, Tensor]) -> str:
    named = dict(_name_by_name(weights))
    if not any(name.startswith(_OURS) for name in named):
        return "none of its names is the official model's"
    count, name, mismatch = min(
        ((_size(mismatch), published.name, mismatch)
         for deploy in (False, True) for published in _published(deploy)
         if (mismatch := find_mismatch(published.weights, named))),
        key=lambda candidate: candidate[0], default=(0, '', ''))
    details = f': {mismatch}' if count < len(named) / 2 else ''
    return (f'closest is {name}, which differs in {count} of {len(named)} '
            f'entries{details}')


def _name_by_name(weights: Mapping[str, T]) -> Iterator[tuple[str, T]]:
    for name, value in weights.items():
        try:
            yield from convert_to_mmcls({name: value}).items()
        except CheckpointError:
            yield name, value


def _size(mismatch: Mismatch) -> int:
    return (len(mismatch.missing) + len(mismatch.unexpected)
            + len(mismatch.misshaped))
