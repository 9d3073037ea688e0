"""Saving of a plain model so that every command takes it."""
from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmcls_repmlp.checkpoints import CHECKPOINT_SUFFIXES, write_checkpoint
from mmcls_repmlp.version import __version__
from repmlp_lite.errors import UserError
from repmlp_lite.files import atomic_write, check_suffix, check_writable

from .classifier import Classifier


def save_model(model: Classifier,
               path: str | Path,
               classes: Sequence[str] = (),
               force: bool = False) -> None:
    """Write a checkpoint, and beside it the config that the commands use.

    Args:
        model: The model, in either form.
        path: File to write, ending in .pth, .pt or .safetensors.
        classes: Names of the classes. Defaults to none: they are numbers.
        force: Whether existing files are replaced. Defaults to False.

    Raises:
        UserError: If ``path`` exists or cannot be written, or the number of
            classes differs.
    """
    if classes and len(classes) != model.num_classes:
        raise UserError(f'{len(classes)} names of classes are given for '
                        f'{model.num_classes} outputs: name each')
    config = Path(path).with_suffix('.py')
    check_suffix(path, CHECKPOINT_SUFFIXES, 'a checkpoint')
    for file in (path, config):
        check_writable(file, force)
    cfg = copy.deepcopy(model.cfg)
    cfg.model.backbone.deploy = model.deploy
    meta: dict[str, Any] = dict(mmcls_repmlp_version=__version__)
    if classes:
        meta['dataset_meta'] = dict(classes=[*classes])
    write_checkpoint(
        dict(meta=meta, state_dict=model.state_dict()), path, force)
    with atomic_write(config, force) as temporary:
        temporary.write_text(cfg.pretty_text, encoding='utf-8')
