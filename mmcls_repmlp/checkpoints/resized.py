"""Weights of one image size, for the same model of another."""
from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from mmcls_repmlp.models import RepMLPBlock, ResMLP
from mmcls_repmlp.ops import resize_fc, resize_fc_bias


def resized_state_dict(
        source: nn.Module,
        target: nn.Module,
        weights: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Resize a model's weights to fit its copy for another image size.

    Only fc3 of every RepMLP block depends on the image size, with its bias if
    it has one (deploy form), and the layers over positions of a ResMLP.

    Args:
        source: Model of the size that the weights are for.
        target: Model of the size that is wanted.
        weights: Weights by name, of such a model or of its backbone alone.
            Those that do not have the shapes of ``source`` stay. Defaults to
            the weights of ``source``.

    Returns:
        Weights by name; those that do not depend on the size are the same.
    """
    shapes = source.state_dict()
    weights = shapes if weights is None else weights
    resized = dict(weights)
    grids = _grids(target)
    for layer, grid in _grids(source).items():
        for part, resize in (('weight', resize_fc), ('bias', resize_fc_bias)):
            full = f'{layer}.{part}'
            key = full if full in weights else full.removeprefix('backbone.')
            if (key in weights and grid != grids[layer]
                    and weights[key].shape == shapes[full].shape):
                resized[key] = resize(weights[key], grid, grids[layer])
    return resized


def _grids(model: nn.Module) -> dict[str, tuple[int, int]]:
    """Name the layers over the positions of a grid, with its size."""
    grids = {}
    for name, module in model.named_modules():
        if isinstance(module, RepMLPBlock):
            grids[f'{name}.fc3'] = module.partition_size
        elif isinstance(module, ResMLP):
            for i in range(module.num_stages):
                layer = f'{name}.stages.{i}.0.linear_tokens'
                grids[layer.removeprefix('.')] = module.grid
    return grids
