"""Layers that time their formulations on this machine and keep the fastest.

No rule predicts on every processor which formulation of a matrix product is
the fastest, or whether weights that are packed once, in the layout that the
processor prefers, pay for their memory.

Shape letters: N batch, C D channels, H W map, S sharesets, Q positions, M
rows.
"""
from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mmcls_repmlp.models.plain_layers import is_plain
from mmcls_repmlp.ops import (Affine, fast_gelu, is_eager_on_cpu, shareset_fc,
                              to_pointwise_layout)
from mmcls_repmlp.ops.shareset_fc import (by_convolution, by_matrix_products,
                                          weights_first)

Run = Callable[[Tensor], Tensor]
_FASTEST: dict[Any, str] = {}  # by what the time depends on
# Packed weights must save this share of the time, as they take memory.
_MIN_GAIN = 0.02
# Each shape may have packed weights of its own, so only so many are timed.
_MAX_SHAPES = 4
# Formulations are timed in turn, and those this much slower only once.
_ROUNDS, _HOPELESS = 6, 1.15
_PLAIN = 'plain'
_RTOL = 1e-5  # of the largest output


class MeasuredLayer(nn.Module):
    """Layer with folded weights, in the fastest formulation for each input.

    Formulations are timed at the second call with inputs of a shape, on a CPU
    in float32: what is called once should not pay for it. That is done for
    four shapes, as each may have packed weights of its own. Everywhere else,
    and for compilers, tracers and exporters, the plain one is used, and its
    weights are the parameters.

    Attributes:
        packed: Name of the formulation that keeps packed weights.
    """

    packed: ClassVar[str] = 'packed'

    def __init__(self) -> None:
        super().__init__()
        self._versions: list[int] = []
        self._forget()

    def _forget(self) -> None:
        self._chosen: dict[torch.Size, tuple[str, Run]] = {}
        self._seen: set[torch.Size] = set()

    @property
    def holder(self) -> Any:
        """The module that has the weight and the bias."""
        return self

    def plain(self, x: Tensor) -> Tensor:
        """Compute the layer in the formulation that is always right."""
        raise NotImplementedError

    def formulations(self, x: Tensor) -> Mapping[str, Callable[[], Run]]:
        """Return builders of formulations for inputs like ``x``, by name."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Compute the layer in the fastest formulation."""
        if not (is_eager_on_cpu(x) and x.dtype is torch.float32 and x.numel()
                and not torch.is_autocast_enabled('cpu')
                and not (torch.is_grad_enabled() and x.requires_grad)):
            return self.plain(x)
        versions = [*map(_version, (self.holder.weight, self.holder.bias))]
        if versions != self._versions:
            self._forget()
            self._versions = versions
        chosen, shape = self._chosen.get(x.shape), x.shape
        if chosen is None:
            if len(self._chosen) >= _MAX_SHAPES:
                return self.plain(x)
            if shape not in self._seen:
                self._seen.add(shape)
                return self.plain(x)
            chosen = self._chosen[shape] = self._choose(x)
        return chosen[1](x)

    @property
    def choices(self) -> dict[tuple[int, ...], str]:
        """Name of the formulation that was chosen for each input shape."""
        return {
            tuple(shape): name
            for shape, (name, _) in self._chosen.items()
        }

    @torch.no_grad()
    def _choose(self, x: Tensor) -> tuple[str, Run]:
        """Choose as for the first layer of these shapes, if it is right."""
        builders = self.formulations(x)
        key = (type(self), self.holder.weight.shape, x.shape,
               torch.get_num_threads(), *builders)
        names = [_FASTEST[key]] if key in _FASTEST else [*builders]
        expected = self.plain(x)
        runs: dict[str, Run] = {_PLAIN: self.plain}
        for name in names:
            # The operators are torch's own, not public: they may not exist,
            # or not for such a layer.
            with suppress(RuntimeError, AttributeError, TypeError):
                run = builders[name]()
                if _is_close(run(x), expected):
                    runs[name] = run
        if key not in _FASTEST:
            _FASTEST[key] = _fastest(runs, x)
        name = _FASTEST[key] if _FASTEST[key] in runs else _PLAIN
        return name, runs[name]

    def _apply(self, *args: Any, **kwargs: Any) -> MeasuredLayer:
        self._forget()  # other weights, or elsewhere
        return super()._apply(*args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        # Copies and pickles have the parameters alone.
        return {**self.__dict__, '_chosen': {}, '_seen': set()}


class MeasuredFC(MeasuredLayer):
    """Shareset FC of rows (M, S, Q), see :func:`shareset_fc`."""

    def __init__(self, affine: Affine) -> None:
        super().__init__()
        self.weight, self.bias = freeze(affine)

    def plain(self, x: Tensor) -> Tensor:
        """Map x (M, S, Q) to the same shape."""
        return shareset_fc(x, self.weight, self.bias)

    def formulations(self, x: Tensor) -> Mapping[str, Callable[[], Run]]:
        """Return builders for rows (M, S, Q)."""

        def by(formulation: Callable[..., Tensor]) -> Callable[[], Run]:
            # The next layer needs (M, S, Q) in memory.
            return lambda: lambda x: formulation(x, self.weight, self.bias
                                                 ).contiguous()

        return {
            _PLAIN: lambda: self.plain,
            'rows first': by(by_matrix_products),
            'weights first': by(weights_first),
            'convolution': by(by_convolution),
            self.packed: lambda: self._pack(x)
        }

    def _pack(self, x: Tensor) -> Run:
        m, s, q = x.shape
        image = _as_image(x)
        conv = pack_convolution(
            self.weight.view(-1, q, 1, 1), self.bias, image.shape, groups=s)

        def run(x: Tensor) -> Tensor:
            return conv(_as_image(x)).permute(0, 2, 3, 1).reshape(m, s, -1)

        return run


class MeasuredPointwise(MeasuredLayer):
    """1x1 convolution of maps, perhaps with a GELU after it."""

    def __init__(self, affine: Affine, gelu: bool = False) -> None:
        super().__init__()
        self.weight, self.bias = freeze(affine)
        self.gelu = gelu

    def plain(self, x: Tensor) -> Tensor:
        """Map x (N, C, H, W) to (N, D, H, W)."""
        x = F.conv2d(to_pointwise_layout(x), self.weight, self.bias)
        return fast_gelu(x) if self.gelu else x

    def formulations(self, x: Tensor) -> Mapping[str, Callable[[], Run]]:
        """Return builders for maps (N, C, H, W)."""
        return {
            _PLAIN: lambda: self.plain,
            'linear': lambda: self._linear,
            self.packed: lambda: self._pack(x)
        }

    def _linear(self, x: Tensor) -> Tensor:
        x = F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias)
        x = fast_gelu(x) if self.gelu else x
        return x.permute(0, 3, 1, 2)

    def _pack(self, x: Tensor) -> Run:
        activation = 'gelu' if self.gelu else 'none'
        conv = pack_convolution(
            self.weight, self.bias, x.shape, activation=activation)
        return lambda x: conv(x.contiguous(memory_format=torch.channels_last))


class MeasuredConv(MeasuredLayer):
    """Convolution of maps, perhaps with a ReLU after it.

    Args:
        conv: The convolution, of any kind.
        affine: Its weight and bias with a norm folded.
        relu: Whether a ReLU follows.
    """

    def __init__(self, conv: nn.Conv2d, affine: Affine, relu: bool) -> None:
        super().__init__()
        self.conv, self.relu = conv, relu
        conv.weight, conv.bias = freeze(affine)

    @property
    def holder(self) -> Any:
        """The convolution."""
        return self.conv

    def plain(self, x: Tensor) -> Tensor:
        """Map x (N, C, H, W) to (N, D, H', W')."""
        x = self.conv(x)
        return F.relu_(x) if self.relu else x

    def formulations(self, x: Tensor) -> Mapping[str, Callable[[], Run]]:
        """Return builders for maps (N, C, H, W)."""
        found: dict[str, Callable[[], Run]] = {_PLAIN: lambda: self.plain}
        conv: Any = self.conv
        if (is_plain(conv) and conv.padding_mode == 'zeros'
                and not isinstance(conv.padding, str)):
            found[self.packed] = lambda: pack_convolution(
                conv.weight, conv.bias, x.shape, conv.groups, 'relu' if self.
                relu else 'none', conv.padding, conv.stride, conv.dilation)
        return found


def freeze(affine: Affine) -> list[nn.Parameter]:
    """Make parameters that need no gradient."""
    return [
        nn.Parameter(tensor.detach(), requires_grad=False) for tensor in affine
    ]


def pack_convolution(
    weight: Tensor,
    bias: Tensor | None,
    size: torch.Size,
    groups: int = 1,
    activation: str = 'none',
    padding: Sequence[int] = (0, 0),
    stride: Sequence[int] = (1, 1),
    dilation: Sequence[int] = (1, 1)
) -> Run:
    """Pack a convolution for images of a size, by oneDNN.

    Raises:
        AttributeError, RuntimeError: If this build of torch cannot.
    """
    ops = torch.ops.mkldnn
    steps = [[*pair] for pair in (padding, stride, dilation)]
    packed = ops._reorder_convolution_weight(weight, *steps, groups,
                                             list(size))
    form = 'none' if activation == 'gelu' else ''  # exact, by erf

    def run(x: Tensor) -> Tensor:
        return ops._convolution_pointwise(x, packed, bias, *steps, groups,
                                          activation, [], form)

    return run


def _as_image(x: Tensor) -> Tensor:
    """View rows (M, S, Q) as one image (1, S * Q, 1, M), channels last."""
    m, s, q = x.shape
    return x.reshape(1, 1, m, s * q).permute(0, 3, 1, 2)


def _version(tensor: Tensor) -> int:
    """Count the changes of a tensor in place; inference tensors do not."""
    return 0 if tensor.is_inference() else tensor._version


def _is_close(found: Tensor, expected: Tensor) -> bool:
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    scale = float(expected.abs().max())
    return bool((found - expected).abs().max() <= _RTOL * scale)


def _fastest(runs: Mapping[str, Run], x: Tensor) -> str:
    """Return the name of the fastest, with some tolerance of packing."""
    seconds: dict[str, float] = {}
    left = dict(runs)
    for _ in range(_ROUNDS):
        for name, run in left.items():
            start = time.perf_counter()
            run(x)
            took = time.perf_counter() - start
            if name == MeasuredLayer.packed:
                took *= 1 + _MIN_GAIN
            seconds[name] = min(took, seconds.get(name, took))
        limit = _HOPELESS * min(seconds.values())
        left = {name: runs[name] for name in left if seconds[name] < limit}
    return min(seconds, key=seconds.__getitem__)
