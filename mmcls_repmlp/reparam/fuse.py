"""The form to serve: everything folded that can be folded.

Beyond the deploy form, whose block alone is merged, every batch norm goes
into a neighbouring layer, the last one into the head's linear layer. It is
surgery on a copy, child by child: what has no norm stays what it is.

Shape letters: N batch, C channels, H W map.
"""
from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mmcls_repmlp.host import (ArcFaceClsHead, GlobalAveragePooling,
                               LinearClsHead, LinearReduction)
from mmcls_repmlp.models.backbone import MergeableBackbone
from mmcls_repmlp.models.merge_blockers import check_no_blockers
from mmcls_repmlp.models.mergeable import merge_all
from mmcls_repmlp.models.norm_folding import (fold_leading_norm, fold_norm,
                                              is_foldable, linear_weights)
from mmcls_repmlp.ops import Affine

from .fused_layers import frozen, fused


def fuse_for_inference(model: nn.Module) -> FusedModel:
    """Build the fused form of a backbone or a classifier.

    It computes what ``model`` computes in eval mode, faster, and nothing
    else: it has no gradients and no checkpoint format of its own.

    Args:
        model: One of this package's backbones, or a classifier with one,
            GlobalAveragePooling and LinearClsHead, or, for metric learning,
            GlobalAveragePooling, LinearReduction and a margin head; in
            training or deploy form; any dtype.

    Returns:
        A new module in eval mode, in the dtype and on the device of
        ``model``, which is left as it is. Of a backbone: images to a tuple of
        maps. Of a classifier: images to logits of shape (N, classes). Of a
        model of metric learning: images to unit vectors (N, D).

    Raises:
        TypeError: If ``model`` is of another kind.
        ValueError: If a norm that must be merged is no batch norm with
            running statistics, or a layer has hooks, is pruned, parametrized
            or otherwise not what can be fused; the message names it and the
            remedy.
    """
    check_no_blockers(model.named_modules())
    with torch.inference_mode(False), torch.no_grad():
        backbone, linear, unit = _parts(model)
        like = next(backbone.parameters())
        backbone = copy.deepcopy(backbone).double().eval()
        merge_all(backbone)
        if linear is not None:
            linear = _take_final_norm(backbone, linear)
        _fuse_children(backbone)
        return FusedModel(backbone, linear, unit).to(like)


class FusedModel(nn.Module):
    """A fused backbone, and perhaps pooling and one linear layer.

    For inference: in eval mode, without gradients.

    Args:
        backbone: The backbone.
        linear: Weight and bias of the layer. Defaults to none.
        unit: Whether the output is brought to length 1. Defaults to False.
    """

    def __init__(self,
                 backbone: nn.Module,
                 linear: Affine | None = None,
                 unit: bool = False) -> None:
        super().__init__()
        self.backbone = backbone
        self.weight: nn.Parameter | None = None
        self.bias: nn.Parameter | None = None
        if linear is not None:
            self.weight, self.bias = frozen(*linear)
        self.unit = unit
        self.requires_grad_(False)
        self.eval()

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Compute maps, or logits (N, classes), or unit vectors (N, D)."""
        outs = self.backbone(x)
        if self.weight is None:
            return outs
        features = outs[-1].mean((2, 3))  # (N, C)
        out = F.linear(features, self.weight, self.bias)
        return F.normalize(out) if self.unit else out

    def train(self, mode: bool = True) -> FusedModel:
        """Stay in eval mode.

        Raises:
            RuntimeError: If asked to train.
        """
        if mode:
            raise RuntimeError('a fused model is for inference only: train '
                               'the model that it was made of')
        return super().train(False)


def _parts(model: nn.Module) -> tuple[MergeableBackbone, Affine | None, bool]:
    """Take a model apart: backbone, linear layer, whether it normalises."""
    if isinstance(model, MergeableBackbone):
        return model, None, False
    parts: list[Any] = [
        getattr(model, name, None) for name in ('backbone', 'neck', 'head')
    ]
    backbone, neck, head = parts
    if isinstance(backbone, MergeableBackbone):
        if isinstance(neck, GlobalAveragePooling) and isinstance(
                head, LinearClsHead):
            return backbone, linear_weights(head.fc, 'head'), False
        if isinstance(head, ArcFaceClsHead) and _reduces(neck):
            return backbone, _reduction(neck[1]), True
    raise TypeError(
        f'{type(model).__name__} cannot be fused: expected a backbone of '
        'mmcls_repmlp, or a classifier of one, GlobalAveragePooling and '
        'LinearClsHead (with LinearReduction between: a margin head)')


def _take_final_norm(backbone: MergeableBackbone, linear: Affine) -> Affine:
    """Move the norm of the last map, if it has one, into what reads it."""
    norm = getattr(backbone, 'final_norm', None)
    if (norm is None or not is_foldable(norm)
            or backbone.out_indices[-1] != backbone.num_stages - 1):
        return linear
    backbone.final_norm = nn.Identity()
    return fold_leading_norm(norm, linear, 'final_norm')


def _fuse_children(module: nn.Module) -> None:
    for name, child in module.named_children():
        replacement = fused(child)
        if replacement is None:
            _fuse_children(child)
        else:
            module.add_module(name, replacement)


def _reduces(neck: Any) -> bool:
    return (isinstance(neck, nn.Sequential) and len(neck) == 2
            and isinstance(neck[0], GlobalAveragePooling)
            and isinstance(neck[1], LinearReduction)
            and isinstance(neck[1].act, nn.Identity))


def _reduction(neck: LinearReduction) -> Affine:
    if isinstance(neck.norm, nn.Identity):
        return linear_weights(neck.reduction, 'neck')
    return fold_norm(neck.reduction, neck.norm, 'neck')
