"""Find what an ONNX file refers to, without a library for ONNX.

Every occurrence of a field is visited, those included that a parser would
merge or let a later one replace.
"""
from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}
# Fields by message and number, from onnx.proto: a message to go into, or what
# to report.
_FIELDS = {
    ('model', 7): 'graph',
    ('model', 20): 'training',
    ('model', 25): 'function',
    ('training', 1): 'graph',
    ('training', 2): 'graph',
    ('function', 7): 'node',
    ('function', 11): 'attribute',
    ('graph', 1): 'node',
    ('graph', 5): 'tensor',
    ('graph', 15): 'sparse',
    ('node', 5): 'attribute',
    ('node', 7): '=domain',
    ('attribute', 5): 'tensor',
    ('attribute', 6): 'graph',
    ('attribute', 10): 'tensor',
    ('attribute', 11): 'graph',
    ('attribute', 22): 'sparse',
    ('attribute', 23): 'sparse',
    ('sparse', 1): 'tensor',
    ('sparse', 2): 'tensor',
    ('tensor', 13): 'entry',
    ('entry', 1): '=key',
    ('entry', 2): '=value',
}


def walk(data: bytes | memoryview,
         kind: str = 'model') -> Iterator[tuple[str, memoryview]]:
    """Report the operator domains and external files of an ONNX model.

    Args:
        data: The whole file, or a message in it.
        kind: Which message it is. Defaults to the whole file.

    Yields:
        'domain' with the domain of a node, or 'location' with the path that
        a tensor's numbers are read from.

    Raises:
        ValueError: If it is no protobuf message.
    """
    entry = {}
    for field, value in _fields(memoryview(data)):
        inner = _FIELDS.get((kind, field))
        if inner is None:
            continue
        if not inner.startswith('='):
            yield from walk(value, inner)
        elif kind == 'entry':
            entry[inner] = value
        else:
            yield inner[1:], value
    if entry.get('=key') == b'location':
        yield 'location', entry.get('=value', memoryview(b''))


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == _VARINT:
            _, at = _varint(data, at)
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise ValueError(f'no protobuf: wire type {kind}')
        if at + size > len(data):
            raise ValueError('no protobuf: a field goes past the end')
        if kind == _BYTES:
            yield tag >> 3, data[at:at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
    raise ValueError('no protobuf: a number goes past the end')
