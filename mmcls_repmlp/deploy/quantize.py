"""Turn an exported float file into an int8 one."""
from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np


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
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

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
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8)
