"""Convolutions as fully connected layers: the algebra of merging.

Everything here is exact up to rounding and computes in the dtype of its
arguments. Sources: arXiv 2105.01883, section 3.3 (convolution as a fully
connected layer), and arXiv 2112.11081, section 3.3 (locality injection).

Shape letters: O I output and input channels of a convolution, kh kw kernel,
h w partition, Q = h * w.
"""
from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

Affine = tuple[Tensor, Tensor]
"""A linear map: (weight, bias), or (scale, shift) of every channel."""


def pad_kernel(kernel: Tensor, size: tuple[int, int]) -> Tensor:
    """Centre a kernel in a larger one of zeros, or crop it to a smaller one.

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
    (y' - y, x' - x) from its centre. Padded to (2h - 1, 2w - 1), the kernel
    has an entry for every possible offset, and the row of one output is the
    (h, w) window that starts at (h - 1 - y, w - 1 - x). All rows together are
    one unfolding in reverse order.

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
        convs: Kernels of shape (O, I, kh, kw) and biases of shape (O,), with
            their batch norms folded.
        size: Height and width (h, w) of the partition.

    Returns:
        Weight (O * Q, I * Q) and bias (O * Q,) of the merged layer.
    """
    weight, bias = fc
    if not convs:
        return weight, bias
    kernels, biases = zip(*convs)
    h, w = (max(kernel.shape[i] for kernel in kernels) for i in (-2, -1))
    kernel = torch.stack([pad_kernel(k, (h, w)) for k in kernels]).sum(0)
    conv_bias = torch.stack(biases).sum(0).repeat_interleave(size[0] * size[1])
    return weight + conv_to_fc(kernel, size), bias + conv_bias
