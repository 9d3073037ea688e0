"""Checkpoint files: read without running their code, written atomically.

A file is what ``torch.save`` writes or, by its suffix, a safetensors file,
whose header holds strings beside the weights.
"""
from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import ZipFile

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from repmlp_lite.errors import CheckpointError, quote_path, shorten
from repmlp_lite.files import atomic_write

from .download import WEB, forget
from .local_file import local_file
from .meta import meta_of
from .plain import to_plain
from .safe_globals import restrict_safe_globals

SAFETENSORS = '.safetensors'
CHECKPOINT_SUFFIXES = ('.pth', '.pt', SAFETENSORS)
# How torch's errors name the function that a file asks it to call.
_FOREIGN = re.compile(r'GLOBAL [\w.]+|class [\w.]+|use of getattr')

# Files that are taken for checkpoints: what they are, by the end of their name
# or by bytes near their beginning.
_OTHERS = (
    ('of PaddlePaddle', ('.pdparams', '.pdopt', '.pdiparams', '.pdmodel'),
     (b'StructuredToParameterName@@', )),
    ('of Keras', ('.h5', '.hdf5', '.keras'), (b'\x89HDF', b'.weights.h5')),
    ('of TensorFlow Lite', ('.tflite', ), (b'TFL3', )),
    ('of TensorFlow', ('.pb', '.index', '.meta'), ()),
    ('of Flax', ('.msgpack', ), ()),
    ('of MXNet', ('.params', ), ()),
    ('of Core ML', ('.mlmodel', '.mlpackage'), ()),
    ('of llama.cpp', ('.gguf', ), (b'GGUF', )),
    ('of numpy', ('.npy', '.npz'), (b'\x93NUMPY', )),
    ('of ONNX', ('.onnx', ), ()),
    ('of torch.export', ('.pt2', ), ()),
    ('of TorchScript', (), (b'/code/__torch__', )),
    ('of Git LFS, which stands for another that was not fetched', (),
     (b'version https://git-lfs', )),
    ('that is compressed, and must be unpacked first', ('.gz', '.xz', '.bz2'),
     (b'\x1f\x8b\x08', b'\xfd7zXZ', b'ustar')),
    ('with a web page', ('.html', ), (b'<!doctype html', b'<html')),
)


def read_checkpoint(source: str | Path) -> Any:
    """Read a checkpoint to the CPU without running any code from it.

    Args:
        source: A path or URL, see :func:`local_file`.

    Returns:
        Content of the file in plain values, see :func:`to_plain`; for
        safetensors, 'state_dict' and 'meta'.

    Raises:
        CheckpointError: If there is no such file, it is damaged, or it holds
            objects that only running code from it could restore. No other
            error is raised, whatever the file holds.
    """
    path = local_file(source)
    try:
        if path.suffix.lower() == SAFETENSORS:
            return to_plain(_read_safetensors(path), source)
        _verify_checksums(path)
        with restrict_safe_globals(), warnings.catch_warnings():
            # About the contents of foreign files, which are checked later.
            warnings.simplefilter('ignore')
            content = torch.load(path, map_location='cpu', weights_only=True)
        return to_plain(content, source)
    except Exception as error:  # torch raises any kind for a damaged file
        if str(source).startswith(WEB):
            forget(str(source))
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(_explain(error, source)) from error


def write_checkpoint(checkpoint: Mapping[str, Any],
                     path: str | Path,
                     force: bool = False) -> None:
    """Write a checkpoint atomically, by the suffix of its name.

    Args:
        checkpoint: Tensors and plain containers. A safetensors file takes
            'meta', whose values must be JSON, and 'state_dict', or weights
            alone.
        path: The file to write.
        force: Whether an existing file is replaced. Defaults to False.

    Raises:
        UserError: If the file exists and ``force`` is not set.
        OSError: If it cannot be written.
    """
    with atomic_write(path, force) as temporary:
        if temporary.suffix.lower() == SAFETENSORS:
            weights = checkpoint.get('state_dict', checkpoint)
            _write_safetensors(weights, meta_of(checkpoint), temporary)
        else:
            torch.save(checkpoint, temporary)


def _verify_checksums(path: Path) -> None:
    """Verify the checksums of an archive that ``torch.save`` made.

    torch itself reads a tensor with a flipped bit without complaint. It never
    compresses, so an archive that claims to hold more bytes than its file has
    could only exhaust the memory. Older formats have no checksums.
    """
    with open(path, 'rb') as file:
        if file.read(4) != b'PK\x03\x04':
            return
    with ZipFile(path) as archive:
        claimed = sum(entry.file_size for entry in archive.infolist())
        if claimed > path.stat().st_size:
            raise CheckpointError(
                f'checkpoint {quote_path(path)} was not loaded, because its '
                f'{path.stat().st_size:,} bytes claim to hold {claimed:,}: '
                'write it with torch.save, which does not compress')
        damaged = archive.testzip()
    if damaged is not None:
        raise CheckpointError(
            f'checkpoint {quote_path(path)} is damaged, the checksum of '
            f'{shorten(damaged, 60)!r} in it is wrong: fetch or write it '
            'again')


def _read_safetensors(path: Path) -> dict[str, dict[str, Any]]:
    with safe_open(path, 'pt') as file:  # checks all sizes and offsets
        meta: dict[str, Any] = dict(file.metadata() or {})
        weights = {name: file.get_tensor(name) for name in file.keys()}
    for name, text in meta.items():
        with suppress(ValueError):  # plain text, from other writers
            meta[name] = json.loads(text)
    return dict(meta=meta, state_dict=weights)


def _write_safetensors(weights: Mapping[str, Tensor], meta: Mapping[str, Any],
                       path: Path) -> None:
    texts = {name: json.dumps(value) for name, value in meta.items()}
    # save_file rejects tensors that share memory or are not contiguous.
    copies = {
        name: weight.detach().clone(memory_format=torch.contiguous_format)
        for name, weight in weights.items()
    }
    save_file(copies, path, texts)
    with open(path, 'r+b') as file:  # save_file shuffles the texts
        length = int.from_bytes(file.read(8), 'little')
        header = {**json.loads(file.read(length)), '__metadata__': texts}
        file.seek(8)
        text = json.dumps(header, ensure_ascii=False, separators=(',', ':'))
        file.write(text.encode().ljust(length))


def _explain(error: Exception, source: str | Path) -> str:
    name = f'checkpoint {quote_path(source)}'
    if isinstance(error, MemoryError):
        return (f'{name} does not fit into memory: close other programs, '
                'or fetch it again if it is damaged')
    foreign = _FOREIGN.search(str(error))
    if foreign and isinstance(error, UnpicklingError):
        return (f'{name} was not loaded, because it holds more than weights, '
                'which could run code: if you trust it, open it with '
                'weights_only=False and save its weights alone, such as its '
                f"entry 'model' ({shorten(foreign[0], 40)})")
    if Path(source).suffix in ('.py', '.json', '.yaml', '.yml'):
        return (f'{quote_path(source)} is a config, not a checkpoint: name a '
                '.pth or .safetensors file')
    kind = _kind_of(Path(source))
    if kind:
        return (f'{name} is a file {kind}, not a checkpoint of PyTorch: name '
                'a .pth or .safetensors file')
    lines = str(error).splitlines() or [type(error).__name__]
    reason = next((line for line in lines if 'Unsupported' in line), lines[0])
    return (f'{name} cannot be read, it is damaged or incomplete, or not a '
            f'checkpoint: fetch or write it again ({shorten(reason, 90)})')


def _kind_of(path: Path) -> str:
    """Name the program that a file is of, or '' if it is not known."""
    head = b''
    with suppress(OSError), open(os.path.expanduser(path), 'rb') as file:
        head = file.read(2**16)
    tensorflow = re.search(r'\.data-\d{5}-of-\d{5}$', path.name)
    for kind, suffixes, signs in _OTHERS:
        if (path.suffix.lower() in suffixes
                or any(sign in head or sign in head.lower()
                       for sign in signs)):
            return kind
    return 'of TensorFlow' if tensorflow else ''
