"""Conditions under which a formulation may be chosen by measured speed."""
from __future__ import annotations

import torch
from torch import Tensor
from torch.utils._device import DeviceContext


def is_traced() -> bool:
    """Return whether a graph is being compiled, traced or exported."""
    return (torch.compiler.is_compiling() or torch.jit.is_tracing()
            or torch.onnx.is_in_onnx_export())


def is_transformed() -> bool:
    """Return whether a transform of ``torch.func`` is active.

    Under vmap a tensor stands for several, under jvp it carries a tangent, and
    not every operation on memory layouts is defined for them. False while
    compiling, where the interpreter stack is the compiler's.
    """
    return (not torch.compiler.is_compiling()
            and torch._C._functorch.peek_interpreter_stack() is not None)


def has_active_mode() -> bool:
    """Return whether a mode of torch watches functions or operations.

    A default device is set by a mode too, which changes no result.
    """
    if torch._C._len_torch_dispatch_stack():
        return True
    count = torch._C._len_torch_function_stack()
    return count > 0 and any(
        type(torch._C._get_function_stack_at(i)) is not DeviceContext
        for i in range(count))


def is_eager_on_cpu(x: Tensor) -> bool:
    """Return whether operations on ``x`` run eagerly on a CPU.

    Graphs that are compiled, traced or exported run elsewhere and with other
    shapes, so they get the general formulation, as do transforms.
    """
    return (x.device.type == 'cpu' and not is_traced()
            and not is_transformed())
