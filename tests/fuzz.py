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
    ways = [_flip, _flip_many, _cut, _drop, _repeat, _overwrite]
    forgeries = [_number, _global, _opcode, _truncated_pickle, _renamed]
    for _ in range(count):
        if zipped and chance.random() < 0.5:
            way = chance.choice([*forgeries, _members])
            mutant = (
                way(data, chance) if way is _members else _with_pickle(
                    data, way, chance))
        else:
            way = chance.choice(ways)
            mutant = way(data, chance)
        yield way.__name__, mutant, zipped and way in ways


def _flip(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data))
    return (data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) +
            data[place + 1:])


def _flip_many(data: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randrange(2, 30)):
        data = _flip(data, chance)
    return data


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[:chance.randrange(len(data))]


def _drop(data: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.randrange(len(data)) for _ in range(2))
    return data[:start] + data[end:]


def _repeat(data: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.randrange(len(data)) for _ in range(2))
    return data[:end] + data[start:]


def _overwrite(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    length = chance.randrange(1, 200)
    return data[:start] + chance.randbytes(length) + data[start + length:]


def _with_pickle(data: bytes, way: Callable, chance: random.Random) -> bytes:
    """Change the pickle of an archive; its checksums are right again."""
    return _rewritten(data, {'data.pkl': lambda old: way(old, chance)})


def _rewritten(data: bytes, changes: dict[str, Callable]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(
            out, 'w') as target:
        for entry in source.infolist():
            content = source.read(entry)
            change = changes.get(entry.filename.split('/', 1)[-1])
            target.writestr(entry.filename,
                            change(content) if change else content)
    return out.getvalue()


def _members(data: bytes, chance: random.Random) -> bytes:
    out = io.BytesIO()
    kind = chance.choice(['less', 'shorter', 'longer', 'swapped', 'packed'])
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(
            out, 'w') as target:
        entries = source.infolist()
        victim, other = chance.sample(entries, 2)
        for entry in entries:
            content = source.read(entry)
            if entry is victim:
                if kind == 'less':
                    continue
                content = dict(
                    shorter=content[:len(content) // 2],
                    longer=content * 3,
                    swapped=source.read(other),
                    packed=content + bytes(10**6))[kind]
            target.writestr(
                entry.filename, content, zipfile.ZIP_DEFLATED
                if kind == 'packed' else zipfile.ZIP_STORED)
    return out.getvalue()


def _operations(data: bytes) -> list[tuple]:
    return list(pickletools.genops(data))


def _number(data: bytes, chance: random.Random) -> bytes:
    places = [(op, place) for op, _, place in _operations(data)
              if op.name in ('BININT', 'BININT1', 'BININT2')]
    op, place = chance.choice(places)
    size = dict(BININT=4, BININT1=1, BININT2=2)[op.name]
    value = chance.choice(_NUMBERS) % 256**size
    return (data[:place + 1] + value.to_bytes(size, 'little') +
            data[place + 1 + size:])


def _global(data: bytes, chance: random.Random) -> bytes:
    places = [(arg, place) for op, arg, place in _operations(data)
              if op.name == 'GLOBAL']
    arg, place = chance.choice(places)
    return (data[:place + 1] + chance.choice(_GLOBALS) + b'\n' +
            data[place + 2 + len(arg.encode()):])


def _opcode(data: bytes, chance: random.Random) -> bytes:
    *_, place = chance.choice(_operations(data))
    codes = [code.code.encode('latin1') for code in pickletools.opcodes]
    return data[:place] + chance.choice(codes) + data[place + 1:]


def _truncated_pickle(data: bytes, chance: random.Random) -> bytes:
    *_, place = chance.choice(_operations(data))
    return data[:place] + b'.'


def _renamed(data: bytes, chance: random.Random) -> bytes:
    names = [(arg, place) for op, arg, place in _operations(data)
             if op.name == 'BINUNICODE']
    arg, place = chance.choice(names)
    new = chance.choice(
        [b'', b'x' * 5000, 'ü\n\t\x00'.encode(),
         arg.encode() + b'.more'])
    return (data[:place + 1] + len(new).to_bytes(4, 'little') + new +
            data[place + 5 + len(arg.encode()):])
