"""What all served forms are: modules for inference alone."""
from __future__ import annotations

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


def frozen(affine: Affine) -> tuple[nn.Parameter, nn.Parameter]:
    """Make weight and bias parameters, in float64, without gradients."""
    return tuple(nn.Parameter(t.detach().double(), requires_grad=False)
                 for t in affine)
