"""Reader of ONNX files, which checks the files and operators they name."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from . import ExportedModel, needs_trust
from .protobuf import references

_FATAL = 4  # severity: ONNX Runtime would print lines beside the one sentence
_DTYPES = {'tensor(float)': 'float32', 'tensor(uint8)': 'uint8'}


def read(path: Path, exact: bool, trust: bool) -> ExportedModel:
    """Read an ONNX file, which computes in its own precision.

    Other files than its own weights, and operators that are not ONNX's own,
    need trust.
    """
    if not trust:
        _check(path)
    return load(path)


def load(path: Path, optimize: bool = True) -> ExportedModel:
    """Load an ONNX file without checks, its operators merged or not."""
    onnxruntime.set_default_logger_severity(_FATAL)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    if not optimize:
        options.graph_optimization_level = (
            onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)
    session = onnxruntime.InferenceSession(
        str(path), options, providers=['CPUExecutionProvider'])
    image, = session.get_inputs()

    def compute(images: np.ndarray) -> np.ndarray:
        return session.run(None, {image.name: images})[0]

    return ExportedModel(path, compute, tuple(image.shape[1:]),
                         _DTYPES[image.type])


def _check(path: Path) -> None:
    weights = f'{path.name}.data'
    for kind, data in references(path.read_bytes()):
        value = bytes(data).decode()
        if kind == 'domain' and value not in ('', 'ai.onnx'):
            raise needs_trust(
                path, f'it calls operators of {value!r}, and only those of '
                'ONNX are known to be arithmetic alone')
        if kind == 'location' and value != weights:
            raise needs_trust(
                path, f'it reads weights out of {value!r}, and only '
                f'{weights!r} belongs to it')
