"""Weights of one output of a layer over positions, before and after merging.

As in section 4.2 and figure 5 of arXiv 2105.01883, they show how the
convolutions emphasise the surroundings of the output.

Shape letters: h w partition, k kernel.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmcls_repmlp.models import RepMLPBlock
from mmcls_repmlp.models.local_layers import LocalLayer
from mmcls_repmlp.models.mergeable import check_mergeable
from mmcls_repmlp.models.norm_folding import fold_norm

Position = tuple[int, int]
LocalBlock = RepMLPBlock | LocalLayer


@dataclass(frozen=True)
class Locality:
    """Weights of one output of a layer for all inputs of its partition.

    Attributes:
        position: Row and column of the output.
        shareset: Its shareset.
        kernel_size: Size k of the largest convolution beside the layer.
        before: The layer with its own batch norm, if any, folded, shape (h,
            w), float64.
        after: The layer with the convolutions merged too, shape (h, w),
            float64.
    """
    position: Position
    shareset: int
    kernel_size: int
    before: Tensor
    after: Tensor

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns covered by the largest kernel."""
        reach = self.kernel_size // 2
        rows, cols = (slice(max(0, at - reach), min(size, at + reach + 1))
                      for at, size in zip(self.position, self.before.shape))
        return rows, cols


def local_blocks(model: nn.Module) -> dict[str, LocalBlock]:
    """Return the RepMLP blocks and injected layers by name, in order."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, (RepMLPBlock, LocalLayer))
    }


@torch.no_grad()
def locality(block: LocalBlock,
             position: Position | None = None,
             shareset: int = 0) -> Locality:
    """Return the weights of one output before and after merging a block.

    The block is not changed. The output is the central one by default.
    """
    size, sharesets, kernels = _sizes(block)
    if not kernels:
        raise ValueError('the block has no convolutions beside fc3, so '
                         'merging adds none to it')
    if position is None:
        position = (size[0] // 2, size[1] // 2)
    _check_index('position', position, size)
    _check_index('shareset', (shareset, ), (sharesets, ))
    check_mergeable(block)
    row = shareset * size[0] * size[1] + position[0] * size[1] + position[1]
    return Locality(position, shareset, max(kernels),
                    *(weight[row].reshape(size) for weight in _weights(block)))


def _sizes(block: LocalBlock) -> tuple[Position, int, tuple[int, ...]]:
    """Return the partition, the number of matrices and the kernels."""
    if isinstance(block, LocalLayer):
        return block.grid, block.groups, block.kernels
    if block.deploy:
        raise ValueError('the block is in deploy form, where the convolutions '
                         'are part of fc3 and cannot be told apart from it: '
                         'give the training checkpoint')
    return (block.partition_size, block.num_sharesets,
            block.reparam_conv_kernels)


def _weights(block: LocalBlock) -> tuple[Tensor, Tensor]:
    """Return the weights (S * Q, Q, ...) before and after merging."""
    (after, _), = block.fold_layers().values()
    if isinstance(block, LocalLayer):
        return block.weight.double(), after
    return fold_norm(block.fc3, block.fc3_bn, 'fc3')[0], after


def _check_index(name: str, index: Sequence[int], size: Sequence[int]) -> None:
    if not all(0 <= at < end for at, end in zip(index, size)):
        last = ' '.join(str(end - 1) for end in size)
        raise ValueError(f'there is no {name} {" ".join(map(str, index))}: '
                         f'choose from {" ".join("0" * len(size))} to {last}')
