"""Time training steps of RepMLP blocks: merged, and layer by layer."""
from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from benchmark_models import environment

from mmcls_repmlp import RepMLPBlock
from mmcls_repmlp.reparam.latency import alternate
from repmlp_lite.console import say
from repmlp_lite.errors import UserError

# Channels, side of the partition, sharesets.
BLOCKS = ((32, 14, 1), (64, 7, 8), (32, 8, 2), (128, 8, 16))


class BlockRow(NamedTuple):
    """Medians of one block, in milliseconds.

    Attributes:
        channels: Channels C.
        side: Height and width of the partition.
        sharesets: Sharesets S.
        alone: fc3, its norm and the gate, without convolutions.
        one_by_one: With convolutions of 1x1 and 3x3, layer by layer.
        merged: The same, with the norms folded by the batch's moments.
    """
    channels: int
    side: int
    sharesets: int
    alone: float
    one_by_one: float
    merged: float


def benchmark_block(*, batch: int = 128, rounds: int = 15) -> list[BlockRow]:
    """Time forward and backward passes in turn, in float32 on the CPU.

    Args:
        batch: Images in a batch. Defaults to 128.
        rounds: Number of timed runs of each. Defaults to 15.

    Raises:
        UserError: If a number is not positive.
    """
    if min(batch, rounds) < 1:
        raise UserError('batch and rounds must be positive')
    say(environment())
    say(f'{"C":>5}{"side":>6}{"S":>4}{"alone":>9}{"one by one":>12}'
        f'{"merged":>9}   ms, forward and backward')
    rows = []
    for block in BLOCKS:
        times = zip(*alternate(*_runs(*block, batch), rounds=rounds))
        row = BlockRow(*block,
                       *(1e3 * statistics.median(each) for each in times))
        say(f'{row.channels:5}{row.side:6}{row.sharesets:4}{row.alone:9.2f}'
            f'{row.one_by_one:12.2f}{row.merged:9.2f}')
        rows.append(row)
    return rows


class LayerByLayer(RepMLPBlock):
    """Block that never folds its norms in training."""

    def can_fold_batch(self, sets: torch.Tensor) -> bool:
        """Return False."""
        return False


def _runs(channels: int, side: int, sharesets: int,
          batch: int) -> Iterator[Callable[[], object]]:
    x = torch.randn(batch, channels, side, side, requires_grad=True)
    for kind, kernels in ((RepMLPBlock, None), (LayerByLayer, (1, 3)),
                          (RepMLPBlock, (1, 3))):
        torch.manual_seed(0)
        block = kind(
            channels,
            side,
            side,
            reparam_conv_kernels=kernels,
            num_sharesets=sharesets)

        def run(block: RepMLPBlock = block) -> None:
            block(x).sum().backward()

        yield run
