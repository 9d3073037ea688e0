"""The grouped fully connected layer at the heart of RepMLP ("fc3").

Shape letters: M rows (batch x partitions x C/S), S sharesets,
Q = h * w positions of a partition.
"""
from __future__ import annotations

import torch
from torch import Tensor


def shareset_fc(x: Tensor,
                weight: Tensor,
                bias: Tensor | None = None) -> Tensor:
    """Connect all positions of a partition, with one matrix per shareset.

    The layer that arXiv 2112.11081 (section 3.2) calls set-sharing linear:
    channels c, c + S, c + 2S, ... share one (Q, Q) matrix. Published code
    computes it as a grouped 1x1 convolution over M images of a single pixel,
    which leaves a matrix product to a convolution kernel that is bad at it.
    Here it is what it is: S products of (M, Q) by (Q, Q), batched, on
    strided views of input and weight.

    Args:
        x: Input of shape (M, S, Q).
        weight: Shape (S * Q, Q) or (S * Q, Q, 1, 1), the layout of published
            checkpoints, same dtype and device as ``x``.
        bias: Shape (S * Q,), or None for no bias. Defaults to None.

    Returns:
        Output of shape (M, S, Q).

    Raises:
        ValueError: If the shapes of ``x``, ``weight`` and ``bias`` do not
            belong together.
    """
    _, s, q = x.shape
    if weight.shape[:2] != (s * q, q) or weight.numel() != s * q * q:
        raise ValueError(f'weight of shape {tuple(weight.shape)} does not fit '
                         f'an input of shape {tuple(x.shape)}: expected '
                         f'{(s * q, q)}')
    if bias is not None and bias.shape != (s * q, ):
        raise ValueError(f'bias of shape {tuple(bias.shape)} does not fit an '
                         f'input of shape {tuple(x.shape)}: expected '
                         f'{(s * q, )}')
    rows = x.transpose(0, 1)  # (S, M, Q)
    matrices = weight.view(s, q, q).transpose(1, 2)  # (S, Q in, Q out)
    if bias is None:
        out = torch.bmm(rows, matrices)  # (S, M, Q)
    else:
        out = torch.baddbmm(bias.view(s, 1, q), rows, matrices)  # (S, M, Q)
    return out.transpose(0, 1)  # (M, S, Q)
