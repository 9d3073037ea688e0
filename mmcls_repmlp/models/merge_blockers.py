"""Conditions that keep a layer from being merged, each with its remedy.

Merging reads weights and removes layers. Anything else attached to a layer
would be lost silently.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from .plain_layers import has_hooks

NamedLayers = Iterable[tuple[str, nn.Module]]
_Condition = Callable[[nn.Module], bool]


def _has_pre_hook(kind: type) -> _Condition:
    return lambda layer: any(
        isinstance(hook, kind) for hook in layer._forward_pre_hooks.values())


def _has_other_numbers(layer: nn.Module) -> bool:
    return any(value.is_quantized or not value.is_floating_point()
               or value.layout != torch.strided for value in _values(layer))


# The first one that applies is reported.
_BLOCKERS: tuple[tuple[_Condition, str], ...] = (
    (_has_pre_hook(prune.BasePruningMethod),
     'is pruned: call torch.nn.utils.prune.remove on it first'),
    (parametrize.is_parametrized, 'is parametrized: call '
     'torch.nn.utils.parametrize.remove_parametrizations on it first'),
    (_has_pre_hook(WeightNorm),
     'has a weight norm: call torch.nn.utils.remove_weight_norm on it first'),
    (_has_pre_hook(SpectralNorm),
     'has a spectral norm: call torch.nn.utils.remove_spectral_norm on it '
     'first'),
    (has_hooks, 'has hooks, which would see other values or none afterwards: '
     'remove them first (handle.remove())'),
    (lambda layer: 'forward' in vars(layer),
     'has a forward of its own, which would be lost: delete it first'),
    (_has_other_numbers,
     'has weights that are not dense floating-point numbers: convert them '
     'back first'),
)


def find_blocker(layer: nn.Module) -> str | None:
    """Return a clause with the remedy if a layer cannot be merged, or None.

    Args:
        layer: The layer; its children are not examined.
    """
    return next((clause for applies, clause in _BLOCKERS if applies(layer)),
                None)


def check_no_blockers(layers: NamedLayers) -> None:
    """Raise a ValueError that names the first layer that cannot be merged."""
    for name, layer in layers:
        clause = find_blocker(layer)
        if clause:
            raise ValueError(f'{name or type(layer).__name__} cannot be '
                             f'merged: it {clause}')


def check_one_device(layers: NamedLayers) -> None:
    """Raise a ValueError that names layers that are on several devices."""
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
