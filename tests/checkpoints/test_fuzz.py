"""Whatever a file is, it gives the right weights or one short sentence.

``make fuzz`` tries thousands of damaged and forged ones, made by a seed.
"""
import io
import os
import pickletools
import random
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save
from torch import nn

from mmcls_repmlp.checkpoints import (class_names, load_strictly,
                                      read_checkpoint, state_dict_of)
from repmlp_lite.errors import CheckpointError

MUTANTS = int(os.environ.get('MUTANTS', 300))
# What torch's unpickler may call beyond what plain weights need.
GLOBALS = [
    f'{module}\n{name}'.encode() for module, names in {
        'torch._utils': '_rebuild_sparse_tensor _rebuild_qtensor '
        '_rebuild_meta_tensor_no_storage _rebuild_nested_tensor '
        '_rebuild_parameter',
        'torch._tensor': '_rebuild_from_type_v2',
        'torch': 'Tensor Size device float16 LongStorage ComplexFloatStorage '
        'FloatTensor',
        'torch.nn.parameter': 'Parameter',
        'builtins': 'bytearray set complex getattr',
        'collections': 'Counter',
        '_codecs': 'encode',
        'numpy': 'ndarray',
        'numpy._core.multiarray': '_reconstruct scalar',
        'mmengine.logging.history_buffer': 'HistoryBuffer',
        'os': 'system'
    }.items() for name in names.split()
]
SIZES = dict(BININT=4, BININT1=1, BININT2=2)
NUMBERS = (0, 1, 2, 3, 255, 2**16 - 1, 2**31 - 1, 10**9)


def model():
    conv, fc = nn.Conv2d(3, 4, 3, bias=False), nn.Linear(4, 5).half()
    fc.bias.data = fc.bias.data.double()
    bn = nn.BatchNorm2d(4, affine=False)
    return nn.ModuleDict(dict(conv=conv, bn=bn, fc=fc))


def saved(content, zipped=True):
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


WEIGHTS = {
    key: torch.arange(1, 1 + value.numel()).view_as(value).to(value.dtype)
    for key, value in model().state_dict().items()
}
FULL = dict(
    state_dict=WEIGHTS,
    meta=dict(epoch=1, dataset_meta=dict(classes=['cat', 'dog'])),
    message_hub=dict(
        log_scalars=dict(loss=HistoryBuffer([1., 2.5], [1, 1])),
        runtime_info=dict(best=np.float32(0.5))),
    optimizer=dict(
        state={0: dict(step=torch.tensor(3.), exp_avg=torch.randn(5, 4))},
        param_groups=[dict(lr=0.1, params=[0])]))
PARAMETERS = {
    key: nn.Parameter(value) if value.is_floating_point() else value
    for key, value in WEIGHTS.items()
}
FILES = {
    'weights': saved(WEIGHTS),
    'mmengine': saved(FULL),
    'official': saved(dict(model=WEIGHTS)),
    'parameters': saved(PARAMETERS),
    'safetensors': save(WEIGHTS),
    'before torch 1.6': saved(WEIGHTS, zipped=False),
    'full before torch 1.6': saved(FULL, zipped=False)
}


def mutate(data, chance):
    """Flip a bit; cut off, drop, repeat or overwrite a part."""
    start, end = sorted(chance.randrange(len(data)) for _ in range(2))
    stop = min(end, start + 200)
    return chance.choice([
        data[:start] + bytes([data[start] ^ 1 << chance.randrange(8)]) +
        data[start + 1:], data[:start], data[:start] + data[end:],
        data[:end] + data[start:],
        data[:start] + chance.randbytes(stop - start) + data[stop:]
    ])


def forge_pickle(data, chance):
    """Change the pickle of an archive; its checksums are right again."""
    return rewrite(
        data, lambda name, content: forge(content, chance)
        if name.endswith('/data.pkl') else content)


def forge_member(data, chance):
    """Leave out, cut, repeat, or swap a member of an archive, or pack it."""
    kind = chance.randrange(5)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        victim, other = chance.sample(archive.namelist(), 2)
        swapped = archive.read(other)
    return rewrite(
        data, lambda name, content: content if name != victim else
        (None, content[:len(content) // 2], content * 3, swapped, content +
         bytes(10**6))[kind], victim if kind == 4 else None)


def rewrite(data, change, packed=None):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(
            out, 'w') as target:
        for name in source.namelist():
            content = change(name, source.read(name))
            if content is not None:
                target.writestr(name, content, 8 * (name == packed))
    return out.getvalue()


def forge(data, chance):
    """Forge a number, a name or a call in a pickle, or any operation."""
    places = {}
    for op, argument, place in pickletools.genops(data):
        places.setdefault(op.name, []).append((argument, place))
    name = chance.choice([*places])
    argument, place = chance.choice(places[name])
    head, tail = data[:place + 1], data[place + 1:]
    if size := SIZES.get(name):
        value = chance.choice(NUMBERS) % 256**size
        return head + value.to_bytes(size, 'little') + tail[size:]
    if name == 'GLOBAL':
        return head + chance.choice(GLOBALS) + tail[len(argument.encode()):]
    if name == 'BINUNICODE':
        old = argument.encode()
        new = chance.choice(
            [b'', b'x' * 5000, 'ü\n\t\x00'.encode(), old + b'.'])
        tail = tail[4 + len(old):]
        return head + len(new).to_bytes(4, 'little') + new + tail
    code = chance.choice(pickletools.opcodes).code.encode('latin1')
    return data[:place] + chance.choice([b'.', code + tail])


def load(path):
    filled, content = model(), read_checkpoint(path)
    load_strictly(filled, state_dict_of(content, path), path)
    assert all(isinstance(name, str) for name in class_names(content))
    return filled.state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(
        torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize('name', FILES)
def test_mutants_give_the_right_weights_or_a_sentence(tmp_path, name):
    suffix = 'safetensors' if name == 'safetensors' else 'pth'
    path, refused = tmp_path / f'a.{suffix}', 0
    data, chance = FILES[name], random.Random(len(name))
    zipped = data[:2] == b'PK'
    path.write_bytes(data)
    assert same(load(path), WEIGHTS)  # unchanged
    for i in range(MUTANTS // len(FILES)):
        way = chance.choice([mutate] * 3 + zipped *
                            [forge_pickle, forge_pickle, forge_member])
        path.write_bytes(way(data, chance))
        try:
            loaded = load(path)
        except CheckpointError as error:
            refused += 1
            assert len(str(error)) <= 300, (way, i)
        else:
            assert all(value.isfinite().all() for value in loaded.values())
            # Nobody can tell a forged number in a file without checksums.
            checked = zipped and way is mutate
            assert not checked or same(loaded, WEIGHTS), (way, i)
    assert refused  # or nothing was tried
