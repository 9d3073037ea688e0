"""Carry weights over to a model for images of another size."""
from __future__ import annotations

from torch import Tensor, nn

from mmcls_repmlp.models import RepMLPBlock
from mmcls_repmlp.ops import resize_fc, resize_fc_bias


def resized_state_dict(source: nn.Module,
                       target: nn.Module) -> dict[str, Tensor]:
    """Resize what goes by positions; all else stays as it is.

    That is fc3 of every RepMLP block, with its bias if it has one (deploy
    form): the only weights whose shapes an image size decides.

    Args:
        source: A model with its weights.
        target: The same model for another image size, in the same form.

    Returns:
        Weights by name that fill ``target``.
    """
    weights, blocks = dict(source.state_dict()), dict(target.named_modules())
    for name, block in source.named_modules():
        if isinstance(block, RepMLPBlock):
            sizes = block.partition_size, blocks[name].partition_size
            for key, resize in (('weight', resize_fc), ('bias',
                                                        resize_fc_bias)):
                full = f'{name}.fc3.{key}'.removeprefix('.')
                if full in weights:
                    weights[full] = resize(weights[full], *sizes)
    return weights
