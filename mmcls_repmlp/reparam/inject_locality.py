"""Locality injection: convolutions beside the layers of any network."""
from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from math import isqrt
from typing import Any

from torch import nn

from mmcls_repmlp.models.argument_checks import check_kernels, check_pair
from mmcls_repmlp.models.local_layers import (KINDS, LocalLayer,
                                              add_convolutions)
from repmlp_lite.errors import first_few

Size = tuple[int, int]
# Layers over positions in networks of others: class of the block, name of the
# layer in it, and attribute of the block with the side of its grid, if any.
_KNOWN = (
    ('ResBlock', 'linear_tokens', ''),  # timm's ResMLP
    ('SpatialGatingUnit', 'proj', ''),  # timm's gMLP
    ('layers_scale_mlp_blocks', 'attn', ''),  # facebookresearch/deit's ResMLP
    ('SwinMLPBlock', 'spatial_mlp', 'window_size'),  # Swin-MLP
)
_NONLINEAR = ('MixerBlock', )  # two layers with an activation between them


def inject_locality(model: nn.Module,
                    kernels: Sequence[int] = (1, 3),
                    layers: Mapping[str, int | Sequence[int]] | None = None,
                    start: str = 'as_is',
                    inplace: bool = False) -> nn.Module:
    """Put convolutions beside the layers that mix positions, for training.

    Locality injection (arXiv 2112.11081, section 3.3) for any network. Layers
    keep their weights and names; each gets branches ``repconvK``. Afterwards,
    :func:`reparameterize` merges the branches: classes, names and shapes are
    the original ones again.

    Args:
        model: Any network.
        kernels: Odd sizes of the convolutions. Defaults to (1, 3).
        layers: Height and width of the grid, or one number for both, by name
            of a layer or pattern of names, such as
            ``{'blocks.*.mix': (14, 14)}``. Each is an ``nn.Linear`` over its
            last axis or an ``nn.Conv1d`` of kernel 1, perhaps in groups, that
            maps h * w positions to themselves. Defaults to the layers of
            ResMLP, gMLP and Swin-MLP, recognised by class and shape.
        start: 'as_is' (default): norms of the branches have scales 0, so that
            the network computes exactly what it did; 'random': as any new
            layer.
        inplace: Whether to change ``model`` itself. Defaults to False.

    Returns:
        The network with branches: a copy, unless ``inplace``.

    Raises:
        ValueError: If a layer cannot take in convolutions, or none is found;
            the message says why. Nothing is changed then.
    """
    sizes = check_kernels(kernels, 'kernels')
    if not sizes:
        raise ValueError('kernels must name at least one odd size, such as 3')
    if start not in ('as_is', 'random'):
        raise ValueError(f"start must be 'as_is' or 'random', got {start!r}")
    grids = _recognize(model) if layers is None else _match(model, layers)
    for name, grid in grids.items():
        _check(name, model.get_submodule(name), grid)
    if not inplace:
        model = copy.deepcopy(model)
    for name, grid in grids.items():
        add_convolutions(
            model.get_submodule(name), grid, sizes, start == 'as_is')
    return model


def _recognize(model: nn.Module) -> dict[str, Size]:
    grids = {}
    for name, block in model.named_modules():
        for kind, child, side in _KNOWN:
            layer = getattr(block, child, None)
            if type(block).__name__ == kind and isinstance(layer, nn.Module):
                path = f'{name}.{child}'.removeprefix('.')
                grids[path] = _grid_of(
                    path, layer,
                    getattr(block, side, None) if side else None, model)
    if grids:
        return grids
    mixers = [
        name for name, block in model.named_modules()
        if type(block).__name__ in _NONLINEAR
    ]
    if mixers:
        raise ValueError(
            f'{mixers[0]} mixes positions by two layers with an activation '
            'between them, which no convolution can be merged into')
    raise ValueError(
        f'no layer of {type(model).__name__} is recognised as one over the '
        "positions of a grid: name them, such as layers={'blocks.*.mix': "
        '(14, 14)}')


def _grid_of(name: str, layer: Any, side: int | None,
             model: nn.Module) -> Size:
    """Find the grid of a recognised layer."""
    if side is not None:
        return side, side
    count = len(layer.weight) // getattr(layer, 'groups', 1)
    for module in model.modules():
        grid = getattr(module, 'grid_size', None)
        if isinstance(grid,
                      (tuple, list)) and len(grid) == 2 and (grid[0] * grid[1]
                                                             == count):
            return int(grid[0]), int(grid[1])
    if isqrt(count)**2 != count:
        raise ValueError(f'{name} has {count} positions, which are no square '
                         f'grid: name it, as layers={{{name!r}: (h, w)}}')
    return isqrt(count), isqrt(count)


def _match(model: nn.Module,
           layers: Mapping[str, int | Sequence[int]]) -> dict[str, Size]:
    names = [name for name, _ in model.named_modules()]
    grids: dict[str, Size] = {}
    for pattern, grid in layers.items():
        found = [name for name in names if fnmatchcase(name, pattern)]
        if not found:
            raise ValueError(f'no module has a name like {pattern!r}: names '
                             f'are such as {first_few(names[-3:])}')
        size = check_pair(f'the grid of {pattern!r}', grid)
        grids.update(dict.fromkeys(found, size))
    if not grids:
        raise ValueError('layers names no layer: give at least one, or None '
                         'to recognise them')
    return grids


def _check(name: str, layer: Any, grid: Size) -> None:
    """Raise a ValueError unless a layer maps a grid to itself."""
    reason = _obstacle(layer, grid)
    if reason:
        raise ValueError(f'{name or type(layer).__name__} cannot take in '
                         f'convolutions: {reason}')


def _obstacle(layer: Any, grid: Size) -> str:
    if isinstance(layer, LocalLayer):
        return 'it has some already'
    if type(layer) not in KINDS:
        known = ' or '.join(kind.__name__ for kind in KINDS)
        return (f'it is of class {type(layer).__name__}, not {known} itself, '
                'so it may not apply its weight as it is')
    if 'weight' not in layer._parameters:
        return 'its weight is computed: remove the pruning or norm first'
    if not layer.weight.is_floating_point():
        return f'its weights are {layer.weight.dtype}'
    if isinstance(layer, nn.Conv1d) and (layer.kernel_size,
                                         layer.stride) != ((1, ), (1, )):
        return 'it is a convolution of more than one position of its own'
    groups = getattr(layer, 'groups', 1)
    outputs, inputs = len(layer.weight) // groups, layer.weight.shape[1]
    if inputs != outputs:
        return (f'it maps {inputs} positions to {outputs}, and only a layer '
                'of as many outputs holds a convolution')
    h, w = grid
    if inputs != h * w:
        extra = ' (a class token is no position)' if inputs == h * w + 1 else (
            '')
        return f'its {inputs} positions are not a grid of {h}x{w}{extra}'
    return ''
