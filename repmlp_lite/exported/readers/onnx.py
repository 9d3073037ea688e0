"""Read ONNX files with ONNX Runtime, once what they refer to is checked."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from . import Loaded, more_than_arithmetic
from .protobuf import walk

_FATAL = 4  # ONNX Runtime's own lines go beside the one sentence otherwise
_DTYPES = {'tensor(float)': 'float32', 'tensor(uint8)': 'uint8'}
_DOMAINS = ('', 'ai.onnx')


def read(path: Path, exact: bool, trust: bool) -> Loaded:
    """Read an ONNX file.

    Args:
        path: The file.
        exact: Without meaning here: it computes in the file's precision.
        trust: Whether to leave out the checks.

    Returns:
        What it computes, and what it takes.

    Raises:
        UserError: If it refers to another file than its own weights, or to
            operators that are not ONNX's.
    """
    if not trust:
        _check(path)
    onnxruntime.set_default_logger_severity(_FATAL)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    session = onnxruntime.InferenceSession(
        str(path), options, providers=['CPUExecutionProvider'])
    image, = session.get_inputs()

    def compute(images: np.ndarray) -> np.ndarray:
        return session.run(None, {image.name: images})[0]

    return Loaded(compute, tuple(image.shape[1:]), _DTYPES[image.type])


def _check(path: Path) -> None:
    for kind, data in walk(path.read_bytes()):
        value = bytes(data).decode()
        if kind == 'domain' and value not in _DOMAINS:
            raise more_than_arithmetic(
                path,
                f'it calls operators of {value!r}, and only those of ONNX '
                'are known to be arithmetic alone')
        if kind == 'location' and value != f'{path.name}.data':
            raise more_than_arithmetic(
                path, f'it reads weights out of {value!r}, and '
                f'{path.name + ".data"!r} is all that belongs to it')
