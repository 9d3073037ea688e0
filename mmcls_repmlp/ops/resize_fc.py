"""Resizing of a shareset FC to partitions of another size.

Shape letters: S sharesets, h w partition, Q = h * w positions; primes mark
the old size: h' w', Q'.
"""
from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

Size = tuple[int, int]


def resampling_matrix(old: int, new: int) -> Tensor:
    """Write the resampling of ``old`` positions to ``new`` ones as a matrix.

    Shape (new, old), float64; the identity if both are equal. Positions are
    cells, as those of an image; every row adds up to 1.
    """
    # Rows of the identity are resampled; its columns stay. This mode is the
    # best measured, see docs/finetuning.md.
    identity = torch.eye(old, dtype=torch.float64)[None, None]
    return F.interpolate(
        identity, (new, old), mode='bicubic', antialias=True)[0, 0]


def resize_fc(weight: Tensor, old: Size, new: Size) -> Tensor:
    """Resize the weight of a shareset FC, as a linear operator.

    With the resampling U of a map from the old size to the new one, and D back
    to the old one, the layer W of each shareset becomes ``U @ W @ D``: it sees
    its input at the old size and gives its output at the new one. The rows of
    U and D add up to 1, so the output for a constant map is only resampled.

    Args:
        weight: Shape (S * Q', Q', 1, 1) or (S * Q', Q').
        old: Height and width (h', w') of its partitions.
        new: Height and width (h, w) of the new partitions.

    Returns:
        Shape (S * Q, Q, 1, 1) or (S * Q, Q), dtype and device of ``weight``,
        computed in float64.

    Raises:
        ValueError: If ``weight`` is not for partitions of the old size.
    """
    (h_old, w_old), (h, w) = old, new
    count = h_old * w_old
    if weight.shape[1] != count or len(weight) % count:
        raise ValueError(f'weight of shape {tuple(weight.shape)} is not for '
                         f'partitions of {h_old}x{w_old}')
    maps = weight.reshape(-1, h_old, w_old, h_old, w_old)  # outputs, inputs
    down = [resampling_matrix(h, h_old), resampling_matrix(w, w_old)]
    maps = torch.einsum('sabcd,ck,dl->sabkl', maps.double(),
                        *(matrix.to(weight.device) for matrix in down))
    maps = _resize_outputs(maps.flatten(3), old, new)  # (S, h, w, Q)
    return maps.reshape(-1, h * w, *weight.shape[2:]).to(weight.dtype)


def resize_fc_bias(bias: Tensor, old: Size, new: Size) -> Tensor:
    """Resample the bias of a shareset FC like its output.

    Args:
        bias: Shape (S * Q',).
        old: Height and width (h', w') of its partitions.
        new: Height and width (h, w) of the new partitions.

    Returns:
        Shape (S * Q,), dtype and device of ``bias``, computed in float64.

    Raises:
        ValueError: If ``bias`` is not for partitions of the old size.
    """
    h_old, w_old = old
    if len(bias) % (h_old * w_old):
        raise ValueError(f'bias of shape {tuple(bias.shape)} is not for '
                         f'partitions of {h_old}x{w_old}')
    maps = bias.double().reshape(-1, h_old, w_old, 1)  # (S, h', w', 1)
    return _resize_outputs(maps, old, new).flatten().to(bias.dtype)


def _resize_outputs(maps: Tensor, old: Size, new: Size) -> Tensor:
    """Resample (S, h', w', any) to (S, h, w, any)."""
    up = [resampling_matrix(*sizes).to(maps.device) for sizes in zip(old, new)]
    return torch.einsum('ia,jb,sabq->sijq', *up, maps)
