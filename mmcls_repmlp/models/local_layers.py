"""Layers over the positions of a grid, with convolutions beside them.

Locality injection (arXiv 2112.11081, section 3.3) for layers of any network:
an ``nn.Linear`` or ``nn.Conv1d`` that maps the positions of a grid to
themselves changes its class while it trains, and back when it is merged.

Shape letters: N batch, S matrices (groups), Q = h * w positions, M maps.
"""
from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmcls_repmlp.ops import (Affine, is_cheap_to_measure, merge_convs_into_fc,
                              moments)

from .batch_statistics import can_fold_branch, fold_batch_branches
from .mergeable import Mergeable
from .partition_perceptron import apply_depthwise, fold_branch


class LocalLayer(Mergeable):
    """Layer of a known class with local convolutions beside its matrices.

    It computes ``layer(x) + sum_k BN(conv_k(x))``, with one kernel and one
    norm channel for each matrix. :meth:`switch_to_deploy` merges the sum into
    the layer, which is of its own class again, with the same names.

    Attributes:
        plain: Class of the layer without convolutions.
        grid: Height and width (h, w) of the grid.
        kernels: Odd sizes of the convolutions.
        groups: Number of matrices.
    """

    plain: ClassVar[type[nn.Module]]
    grid: tuple[int, int]
    weight: Any
    bias: Any
    kernels: tuple[int, ...]
    groups = 1

    @property
    def training_only(self) -> tuple[str, ...]:
        """Names of the convolutions."""
        return tuple(f'repconv{k}' for k in self.kernels)

    @property
    def local_branches(self) -> list[Any]:
        """The convolutions with their norms."""
        return [getattr(self, name) for name in self.training_only]

    def init_weights(self) -> None:
        """Keep the weights, which were chosen at injection."""

    def add_branches(self, maps: Tensor, out: Tensor) -> Tensor:
        """Add the convolutions of maps (M, S, h, w) to ``out`` (M, S, Q)."""
        if not torch.jit.is_tracing() and not maps.numel():
            return out  # a norm in training would refuse no samples
        for branch in self.local_branches:
            out = out + apply_depthwise(branch, maps).flatten(2)
        return out

    def can_fold_batch(self, maps: Tensor) -> bool:
        """Return whether to train the merged form on maps (M, 1, h, w)."""
        return (self.training and 'weight' in self._parameters
                and is_cheap_to_measure(maps.flatten(2).transpose(0, 1))
                and all(
                    can_fold_branch(branch, maps)
                    for branch in self.local_branches))

    def fold_batch(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Merge by the statistics of a batch of maps (M, 1, h, w)."""
        inputs = moments(maps.flatten(2).transpose(0, 1))  # rows (1, M, Q)
        weight, bias = self.weight, self.bias
        for matrix, shift in fold_batch_branches(self.local_branches, inputs,
                                                 self.grid):
            weight = weight + matrix[0]
            bias = shift[0] if bias is None else bias + shift[0]
        return weight, bias

    def fold_layers(self) -> dict[str, Affine]:
        """Compute weight and bias of the merged layer."""
        if 'weight' not in self._parameters:
            raise ValueError('its weight is computed, so nothing can be '
                             'merged into it: remove the pruning or norm '
                             'first')
        weight = self.weight.double()
        bias = weight.new_zeros(
            len(weight)) if self.bias is None else (self.bias.double())
        convs = [*map(fold_branch, self.local_branches, self.training_only)]
        merged, bias = merge_convs_into_fc((weight.flatten(1), bias), convs,
                                           self.grid)
        return {'': (merged.view_as(weight), bias)}

    def adopt(self, layers: Any) -> None:
        """Become the layer that was injected, with the merged weights."""
        if self.bias is None:
            warnings.warn(
                'a layer without a bias has one now that convolutions are '
                'merged into it: build the original network with biases to '
                'load it', stacklevel=2)  # yapf: disable
        super().adopt(layers)
        for name in ('grid', 'kernels', 'init_cfg', '_is_init'):
            delattr(self, name)
        self.__class__ = self.plain  # type: ignore[assignment]

    def _load_from_state_dict(self, *args: Any) -> None:
        # A checkpoint of the original is welcome: only the branches miss.
        nn.Module._load_from_state_dict(self, *args)


class LocalLinear(LocalLayer, nn.Linear):
    """``nn.Linear`` over the positions in the last axis, for all channels."""

    plain = nn.Linear

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., Q) to (..., Q)."""
        maps = x.reshape(-1, 1, *self.grid)  # (M, 1, h, w)
        if self.can_fold_batch(maps):
            return nn.functional.linear(x, *self.fold_batch(maps))
        out = nn.Linear.forward(self, x)
        return self.add_branches(maps,
                                 out.reshape(-1, 1,
                                             out.shape[-1])).reshape(out.shape)


class LocalConv1d(LocalLayer, nn.Conv1d):
    """``nn.Conv1d`` of kernel 1, whose groups of channels are positions."""

    plain = nn.Conv1d

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, S * Q, L) to (N, S * Q, L)."""
        out = nn.Conv1d.forward(self, x)
        rows, results = self._to_rows(x), self._to_rows(out)
        rows = self.add_branches(rows.unflatten(2, self.grid),
                                 results)  # (N * L, S, Q)
        rows = rows.unflatten(0, (-1, x.shape[-1]))  # (N, L, S, Q)
        return rows.permute(0, 2, 3, 1).reshape(out.shape)

    def _to_rows(self, x: Tensor) -> Tensor:
        """Rearrange x (N, S * Q, L) as (N * L, S, Q)."""
        rows = x.unflatten(-2, (self.groups, -1))  # (N, S, Q, L)
        return rows.movedim(-1, -3).flatten(0, -3)


KINDS: dict[type[nn.Module], type[LocalLayer]] = {
    kind.plain: kind
    for kind in (LocalLinear, LocalConv1d)
}


def add_convolutions(layer: Any, grid: tuple[int, int], kernels: Sequence[int],
                     as_is: bool) -> None:
    """Put convolutions beside a layer, in place.

    Args:
        layer: ``nn.Linear`` or ``nn.Conv1d`` that is known to fit.
        grid: Height and width of the grid.
        kernels: Odd sizes of the convolutions.
        as_is: Whether the layer computes what it did: norms have scales 0.
    """
    groups = getattr(layer, 'groups', 1)
    branches = [
        ConvModule(
            groups,
            groups,
            k,
            padding=k // 2,
            groups=groups,
            norm_cfg=dict(type='BN'),
            act_cfg=None) for k in kernels
    ]
    layer.__class__ = KINDS[type(layer)]
    layer.grid, layer.kernels = grid, tuple(kernels)
    layer.init_cfg, layer._is_init = None, True  # of mmengine's modules
    for name, branch in zip(layer.training_only, branches):
        if as_is:
            nn.init.zeros_(branch.norm.weight)
        layer.add_module(name, branch.to(layer.weight).train(layer.training))


def with_own_branches(model: nn.Module,
                      weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Complete weights of the plain network by a model's own branches."""
    own = {
        f'{prefix}.{name}'.removeprefix('.'): value
        for prefix, part in model.named_modules()
        if isinstance(part, LocalLayer)
        for name, value in part.state_dict().items()
        if name.startswith('repconv')
    }
    return weights if own.keys() & weights.keys() else {**own, **weights}
