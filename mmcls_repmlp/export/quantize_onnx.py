"""Quantization of ONNX files to int8, exact on every processor.

Without VNNI a processor multiplies unsigned by signed bytes in pairs and adds
each pair in 16 bits, which saturate: 2 * 255 * 127 > 32767. Weights of seven
bits cannot reach that: 2 * 255 * 64 = 32640.
"""
from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from repmlp_lite.errors import JobFailedError
from repmlp_lite.exported.readers import ExportedModel

# Largest sum of two absolute weights that cannot saturate.
LARGEST_PAIR = 32767 // 255


def quantize_onnx(source: Path, target: Path,
                  batches: Iterable[np.ndarray]) -> None:
    """Quantize convolutions and matrix products of an ONNX file statically.

    Weights are scaled by channel, activations by tensor, in ranges measured on
    batches of input images.
    """
    from onnxruntime.quantization import (CalibrationDataReader, QuantFormat,
                                          QuantType, quantize_static)

    feeds = ({'images': images} for images in batches)

    class Reader(CalibrationDataReader):

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(feeds, None)

    quantize_static(
        str(source),
        str(target),
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=['Conv', 'MatMul', 'Gemm'],
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8)
    check_cannot_saturate(target)


def check_cannot_saturate(path: Path) -> None:
    """Raise JobFailedError if a sum of two int8 products could saturate."""
    import onnx
    from onnx import numpy_helper
    for tensor in onnx.load(path).graph.initializer:
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1:
            weights = numpy_helper.to_array(tensor).astype(np.int32)
            if 2 * np.abs(weights).max(initial=0) > LARGEST_PAIR:
                raise JobFailedError(
                    f'the int8 weights {tensor.name!r} go up to '
                    f'{np.abs(weights).max()}, but processors without VNNI '
                    f'sum exactly only up to {LARGEST_PAIR // 2}: nothing '
                    'was written')


def load_exact(path: Path) -> ExportedModel:
    """Load an int8 file without graph optimisation.

    Operators then run one by one, in float32 between exact integers, and give
    the same results on every processor.
    """
    from repmlp_lite.exported.readers.onnx import load
    return load(path, optimize=False)
