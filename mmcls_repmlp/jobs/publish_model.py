"""Make a checkpoint ready for release."""
from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from mmcls_repmlp.checkpoints import (CHECKPOINT_SUFFIXES, classes_meta,
                                      local_file, meta_of, newest_checkpoint,
                                      read_checkpoint, state_dict_of,
                                      write_checkpoint)
from mmcls_repmlp.models.compatibility import find_mismatch, is_merged
from repmlp_lite.console import say, warn
from repmlp_lite.errors import ConfigError, JobFailedError
from repmlp_lite.files import (check_suffix, check_writable, move_into_place,
                               scratch_folder, sha256_of)

from .shared.config import read_config
from .shared.model import build_on_meta
from .shared.work_dir import (check_pair_writable, config_beside,
                              write_config_beside)

Weights = Mapping[str, Tensor]


def publish_model(src: str | Path,
                  dst: str | Path,
                  *,
                  key: str | None = None,
                  force: bool = False) -> Path:
    """Write a checkpoint with only what running needs, named by its hash.

    What stays is the state dict, which holds the averaged weights if the
    training run averaged them (mmengine's EMAHook puts them there), the
    classes and the versions. The same source always gives the same bytes.
    ``torch.hub`` and mmengine can verify the file by its name. The config
    beside the source is written beside it, for the form of the weights.

    Args:
        src: Path or URL of the checkpoint, or the work folder of a training
            run for its newest one.
        dst: NAME.pth or NAME.safetensors: 'NAME-0123abcd.pth' is written,
            with the first digits of the file's own SHA-256.
        key: Entry of ``src`` that holds the weights. Defaults to the only one.
        force: Whether files of that name may be replaced. Defaults to False.

    Returns:
        The file written.

    Raises:
        UserError: If ``src`` is not usable, or a file would be overwritten.
        JobFailedError: If the written file does not read back as it should;
            it is removed then.
    """
    check_suffix(dst, CHECKPOINT_SUFFIXES, 'a checkpoint')
    check_writable(dst, force=True)
    dst, src = Path(dst), newest_checkpoint(src)
    content = read_checkpoint(src)
    weights = _compact(state_dict_of(content, src, key))
    cfg = _config_of(src, weights)
    with scratch_folder(dst.parent) as scratch:
        draft = scratch / f'draft{dst.suffix}'
        write_checkpoint(dict(meta=_meta(content), state_dict=weights), draft)
        _check(draft, weights)
        stem = re.sub('-[0-9a-f]{8}$', '', dst.stem)  # without an old hash
        final = dst.with_name(f'{stem}-{sha256_of(draft)[:8]}{dst.suffix}')
        check_pair_writable(final, force, src)
        move_into_place(draft, final, force)
    before, after = (
        path.stat().st_size / 2**20 for path in (local_file(src), final))
    say(f'{final} ({after:.1f} MiB, was {before:.1f} MiB)')
    if cfg is None:
        say(f'no config is written: none beside {src} fits its weights')
    else:
        say(f'{write_config_beside(cfg, final, force)} is its config')
    return final


def _config_of(src: str | Path, weights: Weights) -> Config | None:
    """Read the config beside a checkpoint, for the form of these weights."""
    try:
        config = config_beside(src)
        warn(f'config {config}')
        cfg = read_config(config)
        if hasattr(getattr(build_on_meta(cfg), 'backbone', None), 'deploy'):
            cfg.model.backbone.deploy = is_merged(weights)
        fits = not find_mismatch(build_on_meta(cfg).state_dict(), weights)
    except ConfigError:
        return None
    return cfg if fits else None


def _meta(content: Any) -> dict[str, Any]:
    meta = meta_of(content)
    kept = {
        key: meta[key]
        for key in ('mmcls_repmlp_version', 'mmengine_version')
        if isinstance(meta.get(key), str)
    }
    # A pickle refers back to objects that it already holds: fresh copies of
    # strings give the same bytes, whatever shared them before.
    return json.loads(json.dumps({**kept, **classes_meta(content)}))


def _compact(weights: Weights) -> dict[str, Tensor]:
    return {
        sys.intern(key): value.detach().clone(
            memory_format=torch.contiguous_format)
        for key, value in weights.items()
    }


def _check(path: Path, expected: Weights) -> None:
    written = read_checkpoint(path)['state_dict']
    if written.keys() != expected.keys() or not all(
            torch.equal(written[key].view(-1).view(torch.uint8),
                        value.view(-1).view(torch.uint8))
            for key, value in expected.items()):
        raise JobFailedError('the written file does not hold the weights that '
                             'were to be published: nothing was kept')
