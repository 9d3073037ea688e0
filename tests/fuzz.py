"""Damaged and forged checkpoint files, made from good ones by a seed."""
from __future__ import annotations

import io
import pickletools
import random
import zipfile
from collections.abc import Callable, Iterator

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save

# What torch's unpickler may call beyond what plain weights need.
_GLOBALS = (b'torch._utils\n_rebuild_sparse_tensor',
            b'torch._utils\n_rebuild_qtensor',
            b'torch._utils\n_rebuild_meta_tensor_no_storage',
            b'torch._utils\n_rebuild_nested_tensor',
            b'torch.nn.parameter\nParameter',
            b'torch._utils\n_rebuild_parameter',
            b'torch._tensor\n_rebuild_from_type_v2', b'torch\nTensor',
            b'torch\nSize', b'torch\ndevice', b'torch\nfloat16',
            b'torch\nLongStorage', b'torch\nComplexFloatStorage',
            b'torch\nFloatTensor', b'builtins\nbytearray', b'builtins\nset',
            b'builtins\ncomplex', b'collections\nCounter', b'_codecs\nencode',
            b'numpy\nndarray', b'numpy._core.multiarray\n_reconstruct',
            b'numpy._core.multiarray\nscalar', b'builtins\ngetattr',
            b'mmengine.logging.history_buffer\nHistoryBuffer', b'os\nsystem')
_SIZES = dict(BININT=4, BININT1=1, BININT2=2)
_NUMBERS = (0, 1, 2, 3, 255, 2**16 - 1, 2**31 - 1, 10**9)

Weights = dict[str, torch.Tensor]


def example_weights() -> Weights:
    """A few weights of several shapes and kinds."""
    numbers = torch.Generator().manual_seed(0)
    return {
        'conv.weight': torch.randn(4, 3, 3, 3, generator=numbers),
        'bn.running_mean': torch.randn(4, generator=numbers),
        'bn.running_var': torch.rand(4, generator=numbers),
        'bn.num_batches_tracked': torch.tensor(7),
        'fc.weight': torch.randn(5, 4, generator=numbers).half(),
        'fc.bias': torch.randn(5, generator=numbers).double()
    }


def example_files(weights: Weights) -> dict[str, bytes]:
    """The same weights in files of several formats."""
    buffer = HistoryBuffer([1., 2.5], [1, 1])
    full = dict(
        state_dict=weights,
        meta=dict(epoch=1, dataset_meta=dict(classes=['cat', 'dog'])),
        message_hub=dict(
            log_scalars=dict(loss=buffer),
            runtime_info=dict(best=np.float32(0.5))),
        optimizer=dict(
            state={
                0: dict(
                    step=torch.tensor(3.),
                    exp_avg=weights['fc.weight'].clone())
            },
            param_groups=[dict(lr=0.1, params=[0])]))
    parameters = {
        key: torch.nn.Parameter(value) if value.is_floating_point() else value
        for key, value in weights.items()
    }
    return {
        'weights': _saved(weights),
        'mmengine': _saved(full),
        'official': _saved(dict(model=weights)),
        'parameters': _saved(parameters),
        'safetensors': save(weights),
        'before torch 1.6': _saved(weights, zipped=False),
        'full before torch 1.6': _saved(full, zipped=False)
    }


def _saved(content: object, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def mutants(data: bytes, count: int,
            seed: int) -> Iterator[tuple[str, bytes, bool]]:
    """Damage a file in many ways.

    Yields:
        What was done, the damaged file, and whether its checksums tell.
    """
    chance = random.Random(seed)
    zipped = data[:2] == b'PK'
    for _ in range(count):
        forge = zipped and chance.random() < 0.5
        way = chance.choice([_pickle, _pickle, _member]) if forge else _bytes
        yield way.__name__, way(data, chance), zipped and not forge


def _bytes(data: bytes, chance: random.Random) -> bytes:
    """Flip a bit; cut off, drop, repeat or overwrite a part."""
    start, end = sorted(chance.randrange(len(data)) for _ in range(2))
    return chance.choice([
        data[:start] + bytes([data[start] ^ 1 << chance.randrange(8)]) +
        data[start + 1:], data[:start], data[:start] + data[end:],
        data[:end] + data[start:],
        data[:start] + chance.randbytes(min(end - start, 200)) +
        data[start + min(end - start, 200):]
    ])


def _pickle(data: bytes, chance: random.Random) -> bytes:
    """Change the pickle of an archive; its checksums are right again."""
    return _rewritten(
        data, lambda name, content: _forged(content, chance)
        if name.endswith('/data.pkl') else content)


def _member(data: bytes, chance: random.Random) -> bytes:
    """Leave out, cut, repeat, or swap a member of an archive, or pack it."""
    kind = chance.randrange(5)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        victim, other = chance.sample(archive.namelist(), 2)
        swapped = archive.read(other)
    return _rewritten(
        data, lambda name, content: content if name != victim else
        (None, content[:len(content) // 2], content * 3, swapped, content +
         bytes(10**6))[kind], victim if kind == 4 else None)


def _rewritten(data: bytes,
               change: Callable[[str, bytes], bytes | None],
               packed: str | None = None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(
            out, 'w') as target:
        for name in source.namelist():
            content = change(name, source.read(name))
            if content is not None:
                target.writestr(
                    name, content, zipfile.ZIP_DEFLATED
                    if name == packed else zipfile.ZIP_STORED)
    return out.getvalue()


def _forged(data: bytes, chance: random.Random) -> bytes:
    """Forge a number, a name or a call in a pickle, or any operation."""
    places: dict[str, list] = {}
    for op, argument, place in pickletools.genops(data):
        places.setdefault(op.name, []).append((argument, place))
    name = chance.choice([*places])
    argument, place = chance.choice(places[name])
    head, tail = data[:place + 1], data[place + 1:]
    if name in _SIZES:
        value = chance.choice(_NUMBERS) % 256**_SIZES[name]
        return (head + value.to_bytes(_SIZES[name], 'little') +
                tail[_SIZES[name]:])
    if name == 'GLOBAL':
        return head + chance.choice(_GLOBALS) + tail[len(argument.encode()):]
    if name == 'BINUNICODE':
        old = argument.encode()
        new = chance.choice(
            [b'', b'x' * 5000, 'ü\n\t\x00'.encode(), old + b'.'])
        return head + len(new).to_bytes(4,
                                        'little') + new + tail[4 + len(old):]
    codes = [code.code.encode('latin1') for code in pickletools.opcodes]
    return chance.choice(
        [data[:place] + b'.', data[:place] + chance.choice(codes) + tail])
