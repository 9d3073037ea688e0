"""The grouped fully connected layer at the heart of RepMLP ("fc3").

Shape letters: M rows (batch x partitions x C/S), S sharesets, Q inputs and
R outputs of each: both h * w positions of a partition in RepMLPNet. In the
first paper's block (arXiv 2105.01883) M is batch x partitions, S its groups,
and Q and R are (C/S) * h * w and (O/S) * h * w.
"""
from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .device import is_eager_on_cpu

# A convolution repacks the Q x Q weights of every shareset at every call, so
# it is faster for many rows only. Measured, see docs/performance.md.
_MIN_ROWS, _MIN_ROWS_PER_POSITION = 48, 1 / 8
_FEWEST_ROWS = 32
# With gradients, the many small matrices of a last stage are the exception.
_MAX_INPUTS_TO_TRAIN = 64
# From this many inputs on, copying the gradient of a matrix costs more than
# products in the better layout gain.
_MIN_INPUTS_OF_LARGE_MATRIX = 256


def shareset_fc(x: Tensor,
                weight: Tensor,
                bias: Tensor | None = None) -> Tensor:
    """Apply a fully connected layer with one matrix per shareset.

    arXiv 2112.11081 (section 3.2) calls it set-sharing linear: channels c,
    c + S, c + 2S, ... share one (Q, Q) matrix. Published code computes it as a
    grouped 1x1 convolution over M images of a single pixel, at a tenth of the
    possible speed. S matrix products on strided views, or a 1x1 convolution
    over one image of M pixels, give the same numbers without copying weights;
    :func:`prefers_convolution` and :func:`prefers_weights_first` choose.

    Args:
        x: Input of shape (M, S, Q).
        weight: Shape (S * R, Q) or (S * R, Q, 1, 1), the layout of published
            checkpoints, same dtype and device as ``x``.
        bias: Shape (S * R,). Defaults to zeros.

    Returns:
        Output of shape (M, S, R).

    Raises:
        ValueError: If the shapes do not fit together.
    """
    _, s, q = x.shape
    rows = len(weight)
    if rows % s or weight.shape[1] != q or weight.numel() != rows * q:
        raise ValueError(f'weight of shape {tuple(weight.shape)} does not fit '
                         f'an input of shape {tuple(x.shape)}: expected a '
                         f'multiple of {s} rows of {q}')
    if bias is not None and bias.shape != (rows, ):
        raise ValueError(f'bias of shape {tuple(bias.shape)} does not fit a '
                         f'weight of shape {tuple(weight.shape)}: expected '
                         f'{(rows, )}')
    if prefers_weights_first(x, weight):
        return weights_first(x, weight, bias)
    if prefers_convolution(x, weight):
        return by_convolution(x, weight, bias)
    return by_matrix_products(x, weight, bias)


def prefers_weights_first(x: Tensor, weight: Tensor) -> bool:
    """Return whether :func:`weights_first` is the fastest formulation.

    It is for inference in float32 with few rows of a large matrix, on all CPUs
    measured that have AVX2 alone.
    """
    m, s, q = x.shape
    needs_grad = torch.is_grad_enabled() and (x.requires_grad
                                              or weight.requires_grad)
    return (is_eager_on_cpu(x) and x.dtype is torch.float32 and not needs_grad
            and s == 1 and _FEWEST_ROWS <= m < q * _MIN_ROWS_PER_POSITION
            and _has_avx2_alone())


def prefers_convolution(x: Tensor, weight: Tensor) -> bool:
    """Return whether :func:`by_convolution` is the faster formulation.

    It is on a CPU, in the dtypes that oneDNN convolves, for many rows; not in
    float32 with AVX2 alone. With gradients it is for few inputs, as its
    backward pass is slower otherwise.
    """
    m, _, q = x.shape
    if not is_eager_on_cpu(x) or x.dtype not in (torch.float32,
                                                 torch.bfloat16):
        return False
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return 0 < m and q <= _MAX_INPUTS_TO_TRAIN
    if x.dtype is torch.float32 and _has_avx2_alone():
        return False
    return m >= max(_MIN_ROWS, q * _MIN_ROWS_PER_POSITION)


def _has_avx2_alone() -> bool:
    return torch.backends.cpu.get_cpu_capability() == 'AVX2'


def weights_first(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute :func:`shareset_fc` as S products of (R, Q) by (Q, M)."""
    _, s, q = x.shape
    matrices = weight.view(s, -1, q)  # (S, R, Q)
    out = _products(matrices, x.permute(1, 2, 0), bias, (s, -1, 1))
    return out.permute(2, 0, 1)  # (M, S, R)


def by_matrix_products(x: Tensor, weight: Tensor,
                       bias: Tensor | None) -> Tensor:
    """Compute :func:`shareset_fc` as S products of (M, Q) by (Q, R)."""
    m, s, q = x.shape
    if s == 1:
        # The gradient then has the layout of the weight.
        return F.linear(x[:, 0], weight.view(-1, q), bias).unsqueeze(1)
    matrices = weight.view(s, -1, q)  # (S, R, Q)
    # torch.jit traces twice, once without gradients, and compares the graphs.
    if (torch.is_grad_enabled() and weight.requires_grad
            and not torch.jit.is_tracing() and _MIN_INPUTS_OF_LARGE_MATRIX <= q
            and m < q):
        # The gradient then has the layout of the weight and needs no copy.
        return weights_first(x, weight, bias)
    rows = x.transpose(0, 1)  # (S, M, Q)
    out = _products(rows, matrices.transpose(1, 2), bias, (s, 1, -1))
    return out.transpose(0, 1)  # (M, S, R)


def _products(a: Tensor, b: Tensor, bias: Tensor | None,
              shape: tuple[int, int, int]) -> Tensor:
    if bias is None:
        return torch.bmm(a, b)
    return torch.baddbmm(bias.view(shape), a, b)


def by_convolution(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute :func:`shareset_fc` as one 1x1 convolution over M pixels."""
    m, s, q = x.shape
    # This is channels last in memory already, so nothing is copied.
    image = x.reshape(1, 1, m, s * q).permute(0, 3, 1, 2)  # (1, S*Q, 1, M)
    out = F.conv2d(image, weight.view(-1, q, 1, 1), bias, groups=s)
    return out.permute(0, 2, 3, 1).reshape(m, s, -1)  # (M, S, R)
