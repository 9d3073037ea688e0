"""The algebra of re-parameterization: from branches to one linear map.

Everything here is exact up to rounding, returns new tensors, and computes in
the dtype it is given; callers that merge give float64. Sources: arXiv
2105.01883, section 3.3 (convolution as a fully connected layer), and
arXiv 2112.11081, section 3.3 (locality injection).

Shape letters: O I output and input channels of a convolution, S sharesets,
kh kw kernel, h w partition, Q = h * w.
"""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

Affine = tuple[Tensor, Tensor]
"""A linear map of one tensor: (weight, bias), or (scale, shift)."""


def bn_scale_shift(mean: Tensor, var: Tensor, weight: Tensor | None,
                   bias: Tensor | None, eps: float) -> Affine:
    """Write batch norm in eval mode as ``scale * x + shift``.

    Args:
        mean: Running mean of shape (O,).
        var: Running variance of shape (O,).
        weight: Learned scale of shape (O,), or None for ones.
        bias: Learned shift of shape (O,), or None for zeros.
        eps: Number added to the variance.

    Returns:
        scale and shift, each of shape (O,).
    """
    scale = torch.rsqrt(var + eps)
    if weight is not None:
        scale = scale * weight
    shift = -mean * scale
    return scale, shift if bias is None else shift + bias


def fold_scale_shift(weight: Tensor, bias: Tensor | None, scale: Tensor,
                     shift: Tensor) -> Affine:
    """Fold ``scale * y + shift`` into the linear map that computes ``y``.

    Args:
        weight: Shape (R, ...), one row per output.
        bias: Shape (R,), or None for zeros.
        scale: Shape (O,) with R a multiple of O: every entry serves R / O
            rows that follow each other (fc3 has one batch-norm channel for
            the Q rows of a shareset).
        shift: Shape (O,).

    Returns:
        Weight of shape (R, ...) and bias of shape (R,).

    Raises:
        ValueError: If R is not a multiple of O.
    """
    scale, shift = (
        _repeated(t, len(weight), 'outputs') for t in (scale, shift))
    folded = weight * scale.view(-1, *[1] * (weight.dim() - 1))
    return folded, shift if bias is None else shift + scale * bias


def fold_input_scale_shift(weight: Tensor, bias: Tensor, scale: Tensor,
                           shift: Tensor) -> Affine:
    """Fold ``scale * x + shift`` into the linear map that reads it.

    Args:
        weight: Shape (O, I), or (O, I, 1, 1) of a 1x1 convolution. Larger
            kernels would see the zeros of their padding shifted too.
        bias: Shape (O,).
        scale: Shape (C,) with I a multiple of C: every entry serves I / C
            inputs that follow each other (the first layer of the first
            paper's global perceptron reads all partitions of a channel).
        shift: Shape (C,).

    Returns:
        Weight in its shape and bias of shape (O,).

    Raises:
        ValueError: If I is not a multiple of C.
    """
    matrix = weight.flatten(1)  # (O, I)
    scale, shift = (
        _repeated(t, matrix.shape[1], 'inputs') for t in (scale, shift))
    return (matrix * scale).view_as(weight), bias + matrix @ shift


def pad_kernel(kernel: Tensor, size: tuple[int, int]) -> Tensor:
    """Centre a kernel in a larger one of zeros, or cut its rim off.

    Args:
        kernel: Shape (O, I, kh, kw) with odd kh and kw.
        size: Odd height and width of the result.

    Returns:
        Kernel of shape (O, I, *size).
    """
    dh = (size[0] - kernel.shape[-2]) // 2
    dw = (size[1] - kernel.shape[-1]) // 2
    return F.pad(kernel, (dw, dw, dh, dh))


def conv_to_fc(kernel: Tensor, size: tuple[int, int]) -> Tensor:
    """Write a zero-padded stride-1 convolution as a matrix over a partition.

    Output (y, x) weighs input (y', x') by the kernel's entry at offset
    (y' - y, x' - x) from its centre. Padded to (2h - 1, 2w - 1) the kernel
    has an entry for every offset that exists, and the row of one output is
    the (h, w) window of it that starts at (h - 1 - y, w - 1 - x): all rows
    together are one unfolding, read backwards.

    Args:
        kernel: Shape (O, I, kh, kw) with odd kh and kw, of any size.
        size: Height and width (h, w) of the partition.

    Returns:
        Matrix of shape (O * Q, I * Q).
    """
    (o, i), (h, w) = kernel.shape[:2], size
    offsets = pad_kernel(kernel, (2 * h - 1, 2 * w - 1))
    windows = offsets.unfold(-2, h, 1).unfold(-2, w, 1)
    windows = windows.flip(2, 3)  # (O, I, y, x, y', x')
    return windows.permute(0, 2, 3, 1, 4, 5).reshape(o * h * w, i * h * w)


def merge_convs_into_fc(fc: Affine, convs: Sequence[Affine],
                        size: tuple[int, int]) -> Affine:
    """Add parallel convolutions to the fully connected layer beside them.

    Args:
        fc: Weight of shape (O * Q, I * Q) and bias of shape (O * Q,).
        convs: Kernels of shape (O, I, kh, kw) and biases of shape (O,), batch
            norm folded already.
        size: Height and width (h, w) of the partition.

    Returns:
        Weight (O * Q, I * Q) and bias (O * Q,) of the merged layer.
    """
    weight, bias = fc
    if not convs:
        return weight, bias
    largest = (max(k.shape[-2]
                   for k, _ in convs), max(k.shape[-1] for k, _ in convs))
    kernel = sum(pad_kernel(k, largest) for k, _ in convs)
    conv_bias = sum(b for _, b in convs)
    return (weight + conv_to_fc(kernel, size),
            bias + conv_bias.repeat_interleave(size[0] * size[1]))


def _repeated(values: Tensor, count: int, what: str) -> Tensor:
    if count % len(values):
        raise ValueError(f'{len(values)} batch-norm channels cannot serve '
                         f'{count} {what}: expected a divisor')
    return values.repeat_interleave(count // len(values))
