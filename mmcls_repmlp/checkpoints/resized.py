"""Weights of one image size, for the same model of another."""
from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from mmcls_repmlp.models import RepMLPBlock
from mmcls_repmlp.ops import resize_fc, resize_fc_bias


def resized_state_dict(
        source: nn.Module,
        target: nn.Module,
        weights: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Resize a model's weights to fit its copy for another image size.

    Only fc3 of every RepMLP block depends on the image size, with its bias if
    it has one (deploy form).

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
    blocks = dict(target.named_modules())
    for name, block in source.named_modules():
        if not isinstance(block, RepMLPBlock):
            continue
        sizes = block.partition_size, blocks[name].partition_size
        for part, resize in (('weight', resize_fc), ('bias', resize_fc_bias)):
            full = f'{name}.fc3.{part}'
            key = full if full in weights else full.removeprefix('backbone.')
            if (key in weights and sizes[0] != sizes[1]
                    and weights[key].shape == shapes[full].shape):
                resized[key] = resize(weights[key], *sizes)
    return resized
