"""The form that is served: everything folded that can be folded.

Beyond the deploy form, whose block alone is merged, every batch norm goes
into a neighbouring layer, the last one into the head's linear layer. The
deploy form of the first paper's backbones has no norm left and is served as it
is.

Shape letters: N batch, C channels, H W map.
"""
from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from mmcls.models.heads import ArcFaceClsHead, LinearClsHead
from mmcls.models.necks import GlobalAveragePooling, LinearReduction
from torch import Tensor, nn

from mmcls_repmlp.models.backbone import MergeableBackbone
from mmcls_repmlp.models.batch_norm import (fold_bn, linear_weights,
                                            norm_scale_shift)
from mmcls_repmlp.models.obstacles import check_free
from mmcls_repmlp.models.repmlp.repmlp_cifar import RepMLPCifarNet
from mmcls_repmlp.models.repmlp.repmlp_resnet import RepMLPResNet
from mmcls_repmlp.models.repmlpnet.repmlpnet import RepMLPNet
from mmcls_repmlp.ops import fold_input_scale_shift
from mmcls_repmlp.ops.fusion import Affine

from .fused_backbone import FusedBackbone
from .fused_module import FusedModule, frozen
from .fused_repmlpnet import FusedRepMLPNet

_BACKBONES = RepMLPNet, RepMLPResNet, RepMLPCifarNet


def fuse_for_inference(model: nn.Module) -> nn.Module:
    """Build the served form of a backbone or a classifier.

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
        ValueError: If a norm is no batch norm with running statistics, or a
            layer has hooks, is pruned, parametrized or otherwise not what can
            be fused; the message names it and the remedy.
    """
    check_free(model.named_modules())
    with torch.inference_mode(False), torch.no_grad():
        return _fused(model)


def _fused(model: nn.Module) -> FusedModule:
    if isinstance(model, _BACKBONES):
        return _fused_backbone(model)
    backbone = getattr(model, 'backbone', None)
    if isinstance(backbone, _BACKBONES):
        neck, head = (getattr(model, name, None) for name in ('neck', 'head'))
        if isinstance(neck, GlobalAveragePooling) and isinstance(
                head, LinearClsHead):
            return FusedClassifier(backbone, linear_weights(head.fc, 'head'))
        if isinstance(head, ArcFaceClsHead) and _reduces(neck):
            return FusedClassifier(backbone, _reduction(neck[1]), unit=True)
    names = ' or '.join(kind.__name__ for kind in _BACKBONES)
    raise TypeError(
        f'{type(model).__name__} cannot be fused: expected a {names}, or a '
        'classifier of one, GlobalAveragePooling and LinearClsHead (with '
        'LinearReduction between: a margin head)')


class FusedClassifier(FusedModule):
    """A fused backbone, global average pooling, and one linear layer.

    Args:
        backbone: The backbone, in either form.
        linear: Weight and bias of the layer, in float64; the backbone's final
            norm is folded into them.
        unit: Whether the output is brought to length 1. Defaults to False.
    """

    def __init__(self,
                 backbone: MergeableBackbone,
                 linear: Affine,
                 unit: bool = False) -> None:
        super().__init__()
        self.unit = unit
        folds = backbone.out_indices[-1] == backbone.num_stages - 1
        self.backbone = _fused_backbone(backbone, final_norm=not folds)
        final_norm = getattr(backbone, 'final_norm', nn.Identity())
        if folds and not isinstance(final_norm, nn.Identity):
            linear = fold_input_scale_shift(
                *linear, *norm_scale_shift(final_norm, 'final_norm'))
        self.weight, self.bias = frozen(linear)
        self._finish(next(backbone.parameters()))

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits (N, classes), or unit vectors (N, D), of images."""
        features = self.backbone(x)[-1].mean((2, 3))  # (N, C)
        out = F.linear(features, self.weight, self.bias)
        return F.normalize(out) if self.unit else out


def _reduces(neck: nn.Module | None) -> bool:
    return (isinstance(neck, nn.Sequential) and len(neck) == 2
            and isinstance(neck[0], GlobalAveragePooling)
            and isinstance(neck[1], LinearReduction)
            and isinstance(neck[1].act, nn.Identity))


def _reduction(neck: LinearReduction) -> Affine:
    if isinstance(neck.norm, nn.Identity):
        return linear_weights(neck.reduction, 'neck')
    return fold_bn(neck.reduction, neck.norm, 'neck')


def _fused_backbone(backbone: MergeableBackbone,
                    final_norm: bool = True) -> FusedModule:
    if isinstance(backbone, RepMLPNet):
        return FusedRepMLPNet(backbone, final_norm)
    return FusedBackbone(backbone)
