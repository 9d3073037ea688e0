"""Check the pickles of a TorchScript file, by unpickling them into nothing.

torch reads them in C++, which runs no Python, but believes what they claim of
sizes. Here every name in them is held against a list and every tensor against
the bytes that are there.
"""
from __future__ import annotations

import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from repmlp_lite.errors import UserError

from .zip_archive import Archive

_OPCODES = frozenset("""
    PROTO GLOBAL BINPUT LONG_BINPUT BINGET LONG_BINGET EMPTY_TUPLE TUPLE
    TUPLE1 TUPLE2 TUPLE3 NEWOBJ BUILD EMPTY_DICT SETITEM SETITEMS EMPTY_LIST
    APPEND APPENDS MARK REDUCE BINPERSID BINUNICODE NEWTRUE NEWFALSE NONE
    BININT BININT1 BININT2 LONG1 BINFLOAT STOP
""".split())
_ITEM_SIZES = {
    f'{kind}Storage': size
    for size, kinds in ((1, 'Byte Char Bool'), (2, 'Short Half BFloat16'),
                        (4, 'Int Float'), (8, 'Long Double'))
    for kind in kinds.split()
}


class _Object:
    """Stands for any module of the file."""


class _Storage(NamedTuple):
    items: int


def check_data(archive: Archive, folder: str, classes: set[str],
               path: Path) -> None:
    """Check ``folder.pkl`` of an archive against its folder of raw numbers.

    Args:
        archive: The TorchScript file.
        folder: 'data' or 'constants'.
        classes: Names of the classes that the file's text defines.
        path: What errors call the file.

    Raises:
        UserError: If it names what tensors and modules do not consist of, or
            claims more than there is.
    """
    data = archive.read(f'{folder}.pkl')
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name not in _OPCODES or ('PUT' in opcode.name
                                           and int(argument or 0) > len(data)):
            raise UserError(f'{str(path)!r} was not loaded, because its '
                            f'pickle holds {opcode.name}, which tensors and '
                            'modules do not consist of')
    _Checker(BytesIO(data), archive, folder, classes, path).load()


class _Checker(pickle._Unpickler):  # in Python: its memo is no array

    def __init__(self, file: BytesIO, archive: Archive, folder: str,
                 classes: set[str], path: Path) -> None:
        super().__init__(file)
        self._archive, self._folder = archive, folder
        self._classes, self._path = classes, path

    def find_class(self, module: str, name: str) -> Any:
        full = f'{module}.{name}'
        if full in self._classes:
            return _Object
        if module == 'torch' and name in _ITEM_SIZES:
            return _ITEM_SIZES[name]
        if full not in _KNOWN:
            raise UserError(f'{str(self._path)!r} was not loaded, because its '
                            f'pickle names {full!r}, which tensors and '
                            'modules do not consist of')
        return _KNOWN[full]

    def persistent_load(self, identity: Sequence[Any]) -> _Storage:
        kind, size, key, device, items = identity
        there = self._archive.size(f'{self._folder}/{key}')
        if kind != 'storage' or device != 'cpu' or (
                not 0 <= items * size <= there):
            raise UserError(f'{str(self._path)!r} was not loaded, because it '
                            f'claims {items * size:,} bytes on {device!r} for '
                            f'a tensor of which {there:,} are there')
        return _Storage(items)


def _rebuild_tensor(storage: _Storage, offset: int, sizes: Sequence[int],
                    strides: Sequence[int], *rest: Any) -> None:
    last = offset + sum(
        (size - 1) * stride for size, stride in zip(sizes, strides))
    if min((offset, *sizes, *strides)) < 0 or len(sizes) != len(strides) or (
            all(sizes) and last >= storage.items):
        raise UserError(f'a tensor of {storage.items} numbers was claimed to '
                        f'have the shape {tuple(sizes)}')


_KNOWN: dict[str, Callable] = {
    'torch._utils._rebuild_tensor_v2': _rebuild_tensor,
    'collections.OrderedDict': OrderedDict,
    **{
        f'torch.jit._pickle.build_{kind}list': list
        for kind in ('int', 'double', 'bool', 'tensor')
    },
}
