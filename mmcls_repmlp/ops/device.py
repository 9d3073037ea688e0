"""Where a formulation may be chosen by measured speed."""
from __future__ import annotations

import torch
from torch import Tensor


def is_traced() -> bool:
    """Say whether a graph is being compiled, traced or exported, now."""
    return (torch.compiler.is_compiling() or torch.jit.is_tracing()
            or torch.onnx.is_in_onnx_export())


def is_transformed() -> bool:
    """Say whether a transform of ``torch.func`` is at work, now.

    Tensors then stand for several ones (vmap) or carry tangents, and not every
    operation on memory layouts is defined for them. A compiler, to which the
    answer would be wrong, is told no.
    """
    return (not torch.compiler.is_compiling()
            and torch._C._functorch.peek_interpreter_stack() is not None)


def eager_on_cpu(x: Tensor) -> bool:
    """Say whether x is computed on a CPU, now, as it is.

    A graph that is being compiled, traced or exported runs elsewhere and with
    other shapes: it gets the general formulation, which compilers know best.
    So does what ``torch.func`` transforms.
    """
    return (x.device.type == 'cpu' and not is_traced()
            and not is_transformed())
