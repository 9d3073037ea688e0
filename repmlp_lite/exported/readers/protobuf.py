"""Files and operators that an ONNX file names, without a library for ONNX.

Every occurrence of a field is visited, even those that a parser would merge or
let a later one replace.
"""
from __future__ import annotations

from collections.abc import Iterator

_VARINT, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}  # bytes, by wire type
# Fields by message and number, from onnx.proto: the message that they hold, or
# =text.
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


def references(data: bytes | memoryview,
               message: str = 'model') -> Iterator[tuple[str, memoryview]]:
    """Find the operator domains and external files of a message of ONNX.

    Yields:
        'domain' with the domain of a node, or 'location' with the path that
        the values of a tensor are read from.
    """
    entry = {}
    for number, value in _fields(memoryview(data)):
        content = _FIELDS.get((message, number))
        if content is None:
            continue
        if not content.startswith('='):
            yield from references(value, content)
        elif message == 'entry':
            entry[content] = value
        else:
            yield content[1:], value
    if entry.get('=key') == b'location':
        yield 'location', entry.get('=value', memoryview(b''))


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire_type = tag & 7
        if wire_type == _VARINT:
            _, at = _varint(data, at)
            continue
        if wire_type == _BYTES:
            size, at = _varint(data, at)
        elif wire_type in _FIXED:
            size = _FIXED[wire_type]
        else:
            raise ValueError(f'not protobuf: wire type {wire_type}')
        if at + size > len(data):
            raise ValueError('not protobuf: a field goes past the end')
        if wire_type == _BYTES:
            yield tag >> 3, data[at:at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for i, byte in enumerate(data[at:at + 10]):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, at + i + 1
    raise ValueError('not protobuf: a number goes past the end')
