"""The walk through the stages of a hierarchical backbone."""
from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

Layer = Callable[[Tensor], Tensor]


def stage_outputs(x: Tensor, stages: Sequence[Layer],
                  downsample_layers: Sequence[Layer], final_norm: Layer,
                  out_indices: Sequence[int],
                  after_downsample: bool) -> tuple[Tensor, ...]:
    """Run all stages and keep the outputs that are asked for.

    Args:
        x: Map of the stem, of shape (N, C, H, W).
        stages: The stages.
        downsample_layers: What comes between them, one less.
        final_norm: Applied to the output of the last stage.
        out_indices: Stages whose outputs are kept.
        after_downsample: Whether these are taken after the downsampling that
            follows, for all stages but the last.

    Returns:
        The outputs, in the order of the stages.
    """
    outs = []
    last = len(stages) - 1
    for i, stage in enumerate(stages):
        x = out = stage(x)
        if i < last:
            x = downsample_layers[i](x)
            out = x if after_downsample else out
        if i in out_indices:
            outs.append(final_norm(out) if i == last else out)
    return tuple(outs)
