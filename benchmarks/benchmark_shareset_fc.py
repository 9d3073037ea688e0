"""Time the formulations of fc3 against the one that published code uses."""
from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from benchmark_models import environment
from choices import LAYERS, Layer
from torch import Tensor

from mmcls_repmlp.ops import shareset_fc
from mmcls_repmlp.ops.shareset_fc import (by_convolution, by_matrix_products,
                                          weights_first)
from mmcls_repmlp.reparam.latency import alternate
from repmlp_lite.console import say
from repmlp_lite.errors import UserError


class FcRow(NamedTuple):
    """Medians of one layer at one batch size, in milliseconds.

    Attributes:
        layer: Name of the layer.
        batch: Images in a batch.
        published: A grouped 1x1 convolution over images of a single pixel.
        products: Matrix products on strided views.
        weights_first: The same, transposed.
        convolution: One 1x1 convolution over many pixels.
        chosen: Choice of :func:`shareset_fc` between the last three.
    """
    layer: str
    batch: int
    published: float
    products: float
    weights_first: float
    convolution: float
    chosen: float


def benchmark_fc(names: Sequence[str] = tuple(LAYERS),
                 *,
                 batches: Sequence[int] = (1, 8),
                 train: bool = False,
                 rounds: int = 9) -> list[FcRow]:
    """Time an fc3 in every formulation, in turn, in float32 on the CPU.

    Args:
        names: Out of :data:`LAYERS`. Defaults to all.
        batches: Batch sizes. Defaults to 1 and 8.
        train: Whether to time forward and backward pass. Defaults to False:
            inference.
        rounds: Number of timed runs of each. Defaults to 9.

    Returns:
        A row for every layer and batch.

    Raises:
        UserError: If a layer is unknown or a number is not positive.
    """
    unknown = [name for name in names if name not in LAYERS]
    if unknown:
        raise UserError(f'layer {unknown[0]!r} is unknown: choose from '
                        f'{", ".join(LAYERS)}')
    if min(*batches, rounds) < 1:
        raise UserError('batches and rounds must be positive')
    say(environment())
    say(f'{"":12}{"batch":>6}{"published":>11}{"products":>10}'
        f'{"weights first":>15}{"convolution":>13}{"chosen":>9}{"ratio":>7}'
        f'   ms, {"forward and backward" if train else "inference"}')
    rows = []
    for name, batch in product(names, batches):
        times = zip(
            *alternate(*runs(LAYERS[name], batch, train), rounds=rounds))
        row = FcRow(name, batch,
                    *(1e3 * statistics.median(seconds) for seconds in times))
        say(f'{name:12}{batch:6}{row.published:11.2f}{row.products:10.2f}'
            f'{row.weights_first:15.2f}{row.convolution:13.2f}{row.chosen:9.2f}'
            f'{row.published / row.chosen:7.2f}')
        rows.append(row)
    return rows


def as_published(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Compute fc3 as published code does, shapes as in ``shareset_fc``."""
    m, s, q = x.shape
    out = F.conv2d(x.reshape(m, s * q, 1, 1), weight, bias, groups=s)
    return out.view(m, s, -1)


def runs(layer: Layer, batch: int,
         train: bool) -> Iterator[Callable[[], object]]:
    """Yield a run of every formulation, on the same numbers."""
    rows, sets, q = layer
    x = torch.randn(batch * rows, sets, q, requires_grad=train)
    weight = torch.randn(sets * q, q, 1, 1, requires_grad=train)
    bias = torch.randn(sets * q, requires_grad=train)
    for compute in (as_published, by_matrix_products, weights_first,
                    by_convolution, shareset_fc):
        # Contiguous, as what follows in a block wants it.
        def run(compute: Callable[..., Tensor] = compute) -> None:
            with torch.set_grad_enabled(train):
                out = compute(x, weight, bias).contiguous()
                if train:
                    torch.autograd.grad(out.sum(), (x, weight, bias))

        yield run
