"""What keeps a layer from being merged, in words, with the remedy.

Merging reads weights and removes layers. What lives on a layer beside its
weights would be lost without a word, or half way through with a KeyError.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from .plain_layers import has_hooks

_Obstacle = tuple[Callable[[nn.Module], bool], str]


def _has_pre_hook(kind: type) -> Callable[[nn.Module], bool]:
    return lambda layer: any(
        isinstance(hook, kind) for hook in layer._forward_pre_hooks.values())


def _has_values_that(
        fails: Callable[[Tensor], bool]) -> Callable[[nn.Module], bool]:
    return lambda layer: any(map(fails, _values(layer)))


# The first that applies is told.
_OBSTACLES: tuple[_Obstacle, ...] = (
    (_has_pre_hook(prune.BasePruningMethod),
     'is pruned: call torch.nn.utils.prune.remove on it first'),
    (parametrize.is_parametrized, 'is parametrized: call '
     'torch.nn.utils.parametrize.remove_parametrizations on it first'),
    (_has_pre_hook(WeightNorm),
     'has a weight norm: call torch.nn.utils.remove_weight_norm on it first'),
    (_has_pre_hook(SpectralNorm),
     'has a spectral norm: call torch.nn.utils.remove_spectral_norm on it '
     'first'),
    (has_hooks,
     'has hooks, which would see other values afterwards or none: remove '
     'them first (handle.remove())'),
    (lambda layer: 'forward' in vars(layer),
     'has a forward of its own, which would be lost: delete it first'),
    (_has_values_that(lambda tensor: tensor.is_quantized or not tensor.
                      is_floating_point() or tensor.layout != torch.strided),
     'has weights that are not dense floating-point numbers: convert them '
     'back first'),
)


def obstacle(layer: nn.Module) -> str | None:
    """Say what keeps a layer from being merged, or None.

    Args:
        layer: The layer, without what is inside it.

    Returns:
        A clause whose subject is the layer, with the remedy.
    """
    for applies, clause in _OBSTACLES:
        if applies(layer):
            return clause
    return None


def check_no_blockers(layers: Iterable[tuple[str, nn.Module]]) -> None:
    """Refuse layers that cannot be merged.

    Args:
        layers: Names and layers.

    Raises:
        ValueError: If something is in the way; the message names the layer
            and the remedy.
    """
    for name, layer in layers:
        found = obstacle(layer)
        if found:
            raise ValueError(f'{name or type(layer).__name__} cannot be '
                             f'merged: it {found}')


def check_one_device(layers: Iterable[tuple[str, nn.Module]]) -> None:
    """Refuse layers that lie on several devices.

    Raises:
        ValueError: If they do; the message names a layer on each.
    """
    devices: dict[torch.device, str] = {}
    for name, layer in layers:
        for value in _values(layer):
            devices.setdefault(value.device, name)
    if len(devices) > 1:
        places = ', '.join(f'{name} on {device}'
                           for device, name in devices.items())
        raise ValueError('layers on several devices cannot be merged '
                         f'({places}): move the model to one device, with all '
                         'its weights, first')


def _values(layer: nn.Module) -> list[Tensor]:
    tensors = {**layer._parameters, **layer._buffers}
    return [
        tensor for name, tensor in tensors.items()
        if tensor is not None and name != 'num_batches_tracked'
    ]
