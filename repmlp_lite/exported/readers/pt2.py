"""Read torch.export files: their graph is walked, never loaded as Python.

``torch.export.load`` unpickles what it finds and evaluates expressions and
names out of the file (torch 2.13, ``torch/export/pt2_archive/_package.py`` and
``torch/_export/serde/serialize.py``), so that it runs code from a hostile one.
The graph itself is JSON, and raw bytes for weights: enough to compute with.
"""
from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from repmlp_lite.errors import UserError, option

from . import Loaded, more_than_arithmetic
from .torch_files import OPERATORS, compute_of
from .zip_archive import Archive

Env = dict[str, Any]
# torch._export.serde.schema.ScalarType
_NAMES = 'uint8 int8 int16 int32 int64 float16 float32 float64 bool bfloat16'
_DTYPES = dict(zip((1, 2, 3, 4, 5, 6, 7, 8, 12, 13), _NAMES.split()))
_MEMORY_FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    4: torch.preserve_format
}
_LAYOUTS = {7: torch.strided}
_ATEN = 'torch.ops.aten.'
_INTEGERS = {
    f'_operator.{name}': getattr(operator, name)
    for name in ('add', 'sub', 'mul', 'floordiv', 'mod', 'neg')
}
_POSITIONAL = 1


def read(path: Path, exact: bool, trust: bool) -> Loaded:
    """Read a torch.export file.

    Args:
        path: The file.
        exact: Without meaning here: it computes in the file's precision.
        trust: Whether to load it by torch itself, which may run code of it.

    Returns:
        What it computes, and what it takes.

    Raises:
        UserError: If the file holds more than a graph of arithmetic.
    """
    if trust:
        return Loaded(compute_of(torch.export.load(path).module()), None, None)
    with Archive(path) as archive:
        if 'models/model.json' not in archive:
            raise UserError(
                f'{str(path)!r} holds no graph under '
                'models/model.json: export it again with torch '
                f'2.9 or newer, or pass {option("trust")} to have torch '
                'load it, which runs code of the file')
        module = json.loads(archive.read('models/model.json'))['graph_module']
        graph = _Graph(module, _weights(archive), path)
    return Loaded(compute_of(graph), graph.shape, graph.dtype)


def _weights(archive: Archive) -> Env:
    weights = {}
    for kind in ('weights', 'constants'):
        config = archive.read(f'data/{kind}/model_{kind}_config.json')
        for name, entry in json.loads(config)['config'].items():
            if entry['use_pickle'] or entry['tensor_meta'] is None:
                raise UserError(f'{name!r} is pickled, and to unpickle it '
                                'would run code of the file')
            weights[name] = _tensor(
                archive.read(f'data/{kind}/{entry["path_name"]}'),
                entry['tensor_meta'])
    return weights


def _tensor(data: bytes, meta: Mapping[str, Any]) -> torch.Tensor:
    dtype = getattr(torch, _DTYPES[meta['dtype']])
    sizes, strides = ([entry['as_int'] for entry in meta[key]]
                      for key in ('sizes', 'strides'))
    if not math.prod(sizes):
        return torch.empty(sizes, dtype=dtype)
    # as_strided itself refuses what lies outside the storage.
    return torch.frombuffer(
        bytearray(data),
        dtype=dtype).as_strided(sizes, strides,
                                meta['storage_offset']['as_int'])


class _Graph:
    """A graph of operators, computed one by one."""

    def __init__(self, module: Mapping[str, Any], weights: Env,
                 path: Path) -> None:
        graph = module['graph']
        self._weights: Env = {}
        for spec in module['signature']['input_specs']:
            (kind, entry), = spec.items()
            if kind == 'user_input':
                self._input = entry['arg']['as_tensor']['name']
            else:
                name = (
                    entry.get('parameter_name') or entry.get('buffer_name')
                    or entry['tensor_constant_name'])
                self._weights[entry['arg']['name']] = weights[name]
        self._output = graph['outputs'][0]['as_tensor']['name']
        self._steps = [_step(node, path) for node in graph['nodes']]
        image = graph['tensor_values'][self._input]
        self.shape = tuple(size['as_int'] for size in image['sizes'][1:])
        self.dtype = _DTYPES[image['dtype']]
        self._last_use = {
            name: i
            for i, (_, node) in enumerate(self._steps)
            for name in _names(node['inputs'])
        }

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        env = {**self._weights, self._input: images}
        for i, (function, node) in enumerate(self._steps):
            args: list[Any] = []
            kwargs: Env = {}
            for given in node['inputs']:
                (kind, value), = given['arg'].items()
                argument = _VALUES[kind](value, env)
                if given['kind'] == _POSITIONAL:
                    args.append(argument)
                else:
                    kwargs[given['name']] = argument
            result = function(*args, **kwargs)
            env |= dict.fromkeys(_names(node['outputs']), result)
            for name in _names(node['inputs']):
                if self._last_use[name] == i and name != self._output:
                    env.pop(name, None)
        return env[self._output]


def _step(node: Mapping[str, Any],
          path: Path) -> tuple[Callable, Mapping[str, Any]]:
    target = node['target']
    name, _, overload = target.removeprefix(_ATEN).partition('.')
    function = _INTEGERS.get(target)
    if target.startswith(_ATEN) and name in OPERATORS:
        packet = getattr(torch.ops.aten, name)
        if overload in packet.overloads():
            function = getattr(packet, overload)
    if function is None or len(_names(node['outputs'])) > 1:
        raise more_than_arithmetic(
            path,
            f'it calls {target!r}, which is not known to be arithmetic alone')
    return function, node


def _names(arguments: list[Mapping[str, Any]]) -> list[str]:
    """Name the values that arguments of a node, or its outputs, refer to."""
    found = []
    for argument in arguments:
        (kind, value), = argument.get('arg', argument).items()
        if kind == 'as_tensor':
            found.append(value['name'])
        elif kind in ('as_sym_int', 'as_tensors', 'as_sym_ints'):
            entries = [value] if kind == 'as_sym_int' else value
            found += [
                entry.get('name') or entry['as_name'] for entry in entries
                if 'as_int' not in entry
            ]
    return found


def _integer(value: Mapping[str, Any], env: Env) -> int:
    return value['as_int'] if 'as_int' in value else env[value['as_name']]


def _cpu(value: Mapping[str, Any], env: Env) -> str:
    if value['type'] != 'cpu':
        raise UserError(f'the file asks for device {value["type"]!r}: export '
                        'it again on the CPU')
    return 'cpu'


_AS_THEY_ARE = ('as_int', 'as_ints', 'as_float', 'as_floats', 'as_bool',
                'as_bools', 'as_string')
_VALUES: dict[str, Callable[[Any, Env], Any]] = {
    **dict.fromkeys(_AS_THEY_ARE, lambda value, env: value),
    'as_none': lambda value, env: None,
    'as_tensor': lambda value, env: env[value['name']],
    'as_tensors': lambda value, env: [env[v['name']] for v in value],
    'as_sym_int': _integer,
    'as_sym_ints': lambda value, env: [_integer(v, env) for v in value],
    'as_scalar_type': lambda value, env: getattr(torch, _DTYPES[value]),
    'as_memory_format': lambda value, env: _MEMORY_FORMATS[value],
    'as_layout': lambda value, env: _LAYOUTS[value],
    'as_device': _cpu,
}
