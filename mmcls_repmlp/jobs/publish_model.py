"""Make a checkpoint ready to be given away."""
from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmcls_repmlp.checkpoints import (CHECKPOINT_SUFFIXES, classes_meta,
                                      local_file, meta_of, newest_checkpoint,
                                      read_checkpoint, state_dict_of,
                                      write_checkpoint)
from repmlp_lite.errors import CheckpointError, JobFailedError
from repmlp_lite.files import (check_suffix, check_writable, move_into_place,
                               scratch_folder, sha256_of)

_KEPT = ('cfg', 'mmcls_repmlp_version', 'mmengine_version')
_DIGITS = 8
_OLD_HASH = re.compile(r'-[0-9a-f]{8}$')
_MIB = 2**20
_DEEPEST, _MOST = 10, 1_000_000  # parts of what is kept beside the weights


def publish_model(src: str | Path,
                  dst: str | Path,
                  key: str | None = None,
                  force: bool = False,
                  report: Callable[[str], None] = print) -> Path:
    """Keep of a checkpoint what running it needs; name it by its hash.

    What stays is the state dict, which holds the averaged weights if the
    training averaged them (mmengine's EMAHook puts them there), the config,
    the classes and the versions. The same source always gives the same bytes.
    ``torch.hub`` and mmengine can check the name against the file.

    Args:
        src: Path or URL of the checkpoint, or the work folder of a training
            for its newest one.
        dst: NAME.pth: 'NAME-0123abcd.pth' is written, with the first digits
            of the file's own SHA-256.
        key: Entry of ``src`` that holds the weights. Defaults to the only one.
        force: Whether a file of that name may be replaced. Defaults to False.
        report: Called with the name and the sizes. Defaults to print.

    Returns:
        The file written.

    Raises:
        UserError: If ``src`` is not usable, or a file would be overwritten.
        JobFailedError: If the written file does not read back as it should;
            it is removed then.
    """
    check_suffix(dst, CHECKPOINT_SUFFIXES, 'a checkpoint')
    check_writable(Path(dst), force=True)
    src = newest_checkpoint(src)
    content = read_checkpoint(src)
    published = dict(
        meta=_plain(_meta(content), count()),
        state_dict=_compact(state_dict_of(content, src, key)))
    with scratch_folder(Path(dst).parent) as scratch:
        draft = scratch / 'draft.pth'
        write_checkpoint(published, draft)
        _check(draft, published['state_dict'])
        final = _hashed_name(Path(dst), draft)
        check_writable(final, force, src)
        move_into_place(draft, final)
    before, after = (
        path.stat().st_size / _MIB for path in (local_file(src), final))
    report(f'{final} ({after:.1f} MiB, was {before:.1f} MiB)')
    return final


def _meta(content: Any) -> dict[str, Any]:
    meta = meta_of(content)
    return {
        **{
            key: meta[key]
            for key in _KEPT if isinstance(meta.get(key), str)
        },
        **classes_meta(content)
    }


def _compact(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop what else the tensors' memory may hold, and its layout."""
    return {
        sys.intern(key): value.detach().clone(
            memory_format=torch.contiguous_format)
        for key, value in state_dict.items()
    }


def _plain(value: Any, seen: Iterator[int], depth: int = 0) -> Any:
    """Rebuild containers and texts.

    A pickle refers back to objects that it has met already, so that equal
    contents would differ in bytes by which of their parts are one object. A
    few that hold each other several times over would never end.
    """
    if next(seen) > _MOST or depth > _DEEPEST:
        raise CheckpointError('what the checkpoint says of its data set is '
                              f'nested more than {_DEEPEST} deep or has more '
                              f'than {_MOST:,} parts: leave its dataset_meta '
                              'out')
    if isinstance(value, str):
        return sys.intern(str(value))
    if isinstance(value, Mapping):
        return {
            _plain(key, seen, depth + 1): _plain(item, seen, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        kind = tuple if isinstance(value, tuple) else list
        return kind(_plain(item, seen, depth + 1) for item in value)
    return value


def _check(path: Path, expected: Mapping[str, Tensor]) -> None:
    written = read_checkpoint(path)['state_dict']
    if written.keys() != expected.keys() or not all(
            torch.equal(written[key].view(-1).view(torch.uint8),
                        value.view(-1).view(torch.uint8))
            for key, value in expected.items()):
        raise JobFailedError('the written file does not hold the weights that '
                             'were to be published: nothing was kept')


def _hashed_name(dst: Path, content: Path) -> Path:
    digest = sha256_of(content)[:_DIGITS]
    stem = _OLD_HASH.sub('', dst.stem)
    return dst.with_name(f'{stem}-{digest}{dst.suffix}')
