"""What all served forms are: modules for inference alone."""
from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from mmcls_repmlp.ops.fusion import Affine


class FusedModule(nn.Module):
    """A module for inference: in eval mode, without gradients."""

    def _finish(self, like: Tensor) -> None:
        # Folding is computed in float64 and rounded once, here.
        self.to(like)
        self.requires_grad_(False)
        super().train(False)

    def train(self, mode: bool = True) -> FusedModule:
        """Stay in eval mode.

        Raises:
            RuntimeError: If asked to train.
        """
        if mode:
            raise RuntimeError('a fused model is for inference only: train '
                               'the model that it was made of')
        return super().train(False)


def check_kinds(model: nn.Module, kinds: Mapping[str, type]) -> None:
    """Refuse a model some of whose parts are not what is folded.

    Args:
        model: The model.
        kinds: The class of each part, by dotted name; ``''`` is the model.
            Subclasses are taken if they keep its forward.

    Raises:
        ValueError: If a part is of another kind.
    """
    for name, kind in kinds.items():
        part = model.get_submodule(name)
        if type(part).forward is not kind.forward:
            raise ValueError(f'{name or "the module"} is a '
                             f'{type(part).__name__}, which cannot be fused: '
                             f'only {kind.__name__} can')


def frozen(affine: Affine) -> tuple[nn.Parameter, nn.Parameter]:
    """Make weight and bias parameters, in float64, without gradients."""
    return tuple(
        nn.Parameter(t.detach().double(), requires_grad=False) for t in affine)
