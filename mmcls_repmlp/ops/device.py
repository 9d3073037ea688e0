"""Where a formulation may be chosen by measured speed."""
from __future__ import annotations

import torch
from torch import Tensor


def eager_on_cpu(x: Tensor) -> bool:
    """Say whether x is computed on a CPU, now.

    A graph that is being compiled, traced or exported runs elsewhere and with
    other shapes: it gets the general formulation, which compilers know best.
    """
    return (x.device.type == 'cpu' and not torch.compiler.is_compiling()
            and not torch.jit.is_tracing()
            and not torch.onnx.is_in_onnx_export())
