"""Conditions that keep a layer from being merged, each with its remedy.

Merging reads weights and removes layers. Anything else attached to a layer
would be lost silently.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from mmengine.model import is_model_wrapper
from torch import nn
from torch.distributed import fsdp
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from .plain_layers import has_hooks

# Wrapped in a module, or turned into one of these, by fully_shard.
_SHARDED = (fsdp.FullyShardedDataParallel,
            getattr(fsdp, 'FSDPModule', fsdp.FullyShardedDataParallel))
_Condition = Callable[[nn.Module], bool]


def _has_pre_hook(kind: type) -> _Condition:
    return lambda layer: any(
        isinstance(hook, kind) for hook in layer._forward_pre_hooks.values())


def _has_other_numbers(layer: nn.Module) -> bool:
    tensors = {**layer._parameters, **layer._buffers}
    tensors.pop('num_batches_tracked', None)
    return any(
        tensor is not None and (
            tensor.is_quantized or not tensor.is_floating_point()
            or tensor.layout != torch.strided) for tensor in tensors.values())


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
    (lambda layer: bool({'forward', '_conv_forward'} & {*vars(layer)}),
     'has a forward of its own, which would be lost: delete it first'),
    (_has_other_numbers,
     'has weights that are not dense floating-point numbers: convert them '
     'back first'),
)


def check_no_blockers(layers: Iterable[tuple[str, nn.Module]]) -> None:
    """Raise a ValueError that names a layer not to be merged, and why."""
    for name, layer in layers:
        for applies, clause in _BLOCKERS:
            if applies(layer):
                raise ValueError(f'{name or type(layer).__name__} cannot be '
                                 f'merged: it {clause}')


def check_unwrapped(model: nn.Module) -> None:
    """Raise a TypeError that names a wrapped or sharded module."""
    for name, module in model.named_modules():
        kind = type(module).__name__
        if isinstance(module, _SHARDED) or any(
                hasattr(parameter, 'device_mesh')  # of a DTensor
                for parameter in module._parameters.values()):
            raise TypeError(
                f'{name or kind} cannot be merged: its weights are sharded; '
                'gather them by get_model_state_dict of '
                'torch.distributed.checkpoint.state_dict (full_state_dict='
                'True), load them into an unsharded model and merge that')
        if is_model_wrapper(module) or isinstance(module, nn.DataParallel):
            where = f'model.{name}.module' if name else 'model.module'
            raise TypeError(f'a model wrapped in {kind} cannot be merged: '
                            f'pass the model inside, {where}')
