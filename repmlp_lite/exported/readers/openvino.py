"""Reader of OpenVINO files, after a check that they are XML of operators.

OpenVINO goes by the content, so that a file named .xml could be of any format
that it has a reader for (tried with 2026.4: ONNX).
"""
from __future__ import annotations

import re
from pathlib import Path
from xml.parsers import expat

import numpy as np
import openvino

from repmlp_lite.errors import UserError

from . import ExportedModel, needs_trust

_OPERATOR_SET = re.compile(r'opset\d+')
_DTYPES = {'f32': 'float32', 'u8': 'uint8'}


def read(path: Path, exact: bool, trust: bool) -> ExportedModel:
    """Read an OpenVINO file and the .bin beside it.

    Operators of an extension, and other formats, need trust.
    """
    if not trust:
        _check(path)
    config = {'INFERENCE_PRECISION_HINT': 'f32'} if exact else {}
    core = openvino.Core()
    model = core.compile_model(
        core.read_model(path, path.with_suffix('.bin')), 'CPU', config)
    image = model.input(0)
    shape = tuple(size.get_length() if size.is_static else str(size)
                  for size in list(image.get_partial_shape())[1:])

    def compute(images: np.ndarray) -> np.ndarray:
        # Copied: the runtime writes the next result into the same memory.
        return model(images)[0].copy()

    dtype = image.get_element_type().get_type_name()
    return ExportedModel(path, compute, shape, _DTYPES[dtype])


def _check(path: Path) -> None:
    names: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        names.append(name)
        if names[0] != 'net':
            raise UserError(f'{str(path)!r} is not an OpenVINO file: it '
                            f'starts with <{name}>')
        version = attributes.get('version', '')
        if name == 'layer' and not _OPERATOR_SET.fullmatch(version):
            raise needs_trust(
                path, f'it calls operators of {version!r}, and only those of '
                "OpenVINO's own opsets are known to be arithmetic alone")

    def refuse(*declaration: object) -> None:
        raise UserError(f'{str(path)!r} was not loaded, because it defines a '
                        'document type, which no OpenVINO file does')

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(path.read_bytes(), True)
