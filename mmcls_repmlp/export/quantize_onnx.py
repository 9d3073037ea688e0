"""Turn an exported float file into an int8 one, alike on every processor.

Without VNNI a processor multiplies unsigned by signed bytes in pairs and adds
each pair in 16 bits, which saturate: 2 * 255 * 127 > 32767. Weights of seven
bits cannot reach that: 2 * 255 * 64 = 32640.
"""
from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from repmlp_lite.errors import JobFailedError
from repmlp_lite.exported.load_exported import ExportedModel
from repmlp_lite.exported.readers import Loaded

# The largest sum of two weights, in absolute numbers, that cannot saturate.
LARGEST_PAIR = 32767 // 255


def quantize_onnx(source: Path, target: Path,
                  batches: Iterable[np.ndarray]) -> None:
    """Quantize an ONNX file statically: weights by channel, activations.

    ONNX Runtime does the work (``onnxruntime.quantization``); convolutions and
    matrix products become int8, the rest stays as it is.

    Args:
        source: The float32 file.
        target: The int8 file to write.
        batches: Batches of images as the file takes them, whose activations
            set the ranges.

    Raises:
        JobFailedError: If a product could saturate.
    """
    from onnxruntime.quantization import (CalibrationDataReader, QuantFormat,
                                          QuantType, quantize_static)

    class Reader(CalibrationDataReader):

        def __init__(self) -> None:
            self.batches = iter(batches)

        def get_next(self) -> dict[str, np.ndarray] | None:
            images = next(self.batches, None)
            return None if images is None else {'images': images}

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
    """Make sure that no processor saturates where it adds int8 products.

    Raises:
        JobFailedError: If weights are so large that one could.
    """
    import onnx
    from onnx import numpy_helper
    for tensor in onnx.load(path).graph.initializer:
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1:
            weights = numpy_helper.to_array(tensor).astype(np.int32)
            if 2 * np.abs(weights).max(initial=0) > LARGEST_PAIR:
                raise JobFailedError(
                    f'the int8 weights {tensor.name!r} go up to '
                    f'{np.abs(weights).max()}, and processors without VNNI '
                    f'add up exactly only up to {LARGEST_PAIR // 2}: nothing '
                    'was written')


def load_exact(path: Path) -> ExportedModel:
    """Load an int8 file without graph optimisation.

    Operators then run one by one, in float32 between exact integers, and give
    the same on every processor.
    """
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = (
        onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)
    session = onnxruntime.InferenceSession(
        str(path), options, providers=['CPUExecutionProvider'])
    return ExportedModel(
        Loaded(lambda images: session.run(None, {'images': images})[0], None,
               None), path)
