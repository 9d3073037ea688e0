"""Safetensors files: weights by name, and a header of texts."""
from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from repmlp_lite.errors import CheckpointError

SAFETENSORS = '.safetensors'
_LENGTH = 8  # bytes at the start of a file that hold the header's length


def read_safetensors(path: Path) -> dict[str, dict[str, Any]]:
    """Read a safetensors file; the library checks sizes and offsets.

    Returns:
        'state_dict' with the weights, and 'meta' with the header's metadata,
        whose texts are read as JSON where they are JSON.

    Raises:
        Exception: Of any kind, if it is not such a file.
    """
    with safe_open(path, 'pt') as file:
        meta: dict[str, Any] = dict(file.metadata() or {})
        weights = {name: file.get_tensor(name) for name in file.keys()}
    for name, text in meta.items():
        with suppress(ValueError):  # a plain text, of other writers
            meta[name] = json.loads(text)
    return dict(meta=meta, state_dict=weights)


def write_safetensors(weights: Mapping[str, Tensor], meta: Mapping[str, Any],
                      path: Path) -> None:
    """Write weights, and meta as JSON texts, to a safetensors file.

    Equal contents give equal bytes.

    Raises:
        CheckpointError: If JSON cannot express something in ``meta``.
    """
    copies = {
        name: weight.detach().clone(memory_format=torch.contiguous_format)
        for name, weight in weights.items()
    }
    try:
        texts = {name: json.dumps(value) for name, value in meta.items()}
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f'what the checkpoint says of itself is no text ({error}): write '
            'a .pth file') from error
    save_file(copies, path, texts)
    if texts:
        _order_metadata(path, texts)


def _order_metadata(path: Path, texts: Mapping[str, str]) -> None:
    """Write the metadata in this order; the library's is a random one."""
    with open(path, 'r+b') as file:
        length = int.from_bytes(file.read(_LENGTH), 'little')
        header = {**json.loads(file.read(length)), '__metadata__': texts}
        text = json.dumps(header, ensure_ascii=False, separators=(',', ':'))
        file.seek(_LENGTH)
        file.write(text.encode().ljust(length))
