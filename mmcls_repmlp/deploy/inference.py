"""The form that is served: everything folded that can be folded.

Beyond the deploy form, whose block alone is merged, every batch norm goes
into a neighbouring layer, the last one into the head's linear layer. The
deploy form of the first paper's backbones has no norm left and is served as it
is.

Shape letters: N batch, C channels, H W map.
"""
from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from mmcls.models.heads import LinearClsHead
from mmcls.models.necks import GlobalAveragePooling
from torch import Tensor, nn

from mmcls_repmlp.models.backbone import MergeableBackbone
from mmcls_repmlp.models.batch_norm import norm_scale_shift
from mmcls_repmlp.models.repmlp_cifar import RepMLPCifarNet
from mmcls_repmlp.models.repmlp_resnet import RepMLPResNet
from mmcls_repmlp.models.repmlpnet import RepMLPNet
from mmcls_repmlp.ops import fold_input_scale_shift

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
            GlobalAveragePooling and LinearClsHead; in training or deploy
            form; any dtype.

    Returns:
        A new module in eval mode, in the dtype and on the device of
        ``model``, which is left as it is. Of a backbone: images to a tuple of
        maps. Of a classifier: images to logits of shape (N, classes).

    Raises:
        TypeError: If ``model`` is of another kind.
        ValueError: If a norm is no batch norm with running statistics.
    """
    if isinstance(model, _BACKBONES):
        return _fused_backbone(model)
    backbone, neck, head = (
        getattr(model, name, None) for name in ('backbone', 'neck', 'head'))
    if (isinstance(backbone, _BACKBONES) and isinstance(
            neck, GlobalAveragePooling) and isinstance(head, LinearClsHead)):
        return FusedClassifier(backbone, head)
    names = ' or '.join(kind.__name__ for kind in _BACKBONES)
    raise TypeError(
        f'{type(model).__name__} cannot be fused: expected a {names}, or a '
        'classifier of one, GlobalAveragePooling and LinearClsHead')


class FusedClassifier(FusedModule):
    """A fused backbone, global average pooling, and one linear layer.

    Args:
        backbone: The backbone, in either form.
        head: The head; the backbone's final norm is folded into it.
    """

    def __init__(self, backbone: MergeableBackbone,
                 head: LinearClsHead) -> None:
        super().__init__()
        folds = backbone.out_indices[-1] == backbone.num_stages - 1
        self.backbone = _fused_backbone(backbone, final_norm=not folds)
        weight, bias = head.fc.weight.double(), head.fc.bias.double()
        final_norm = getattr(backbone, 'final_norm', nn.Identity())
        if folds and not isinstance(final_norm, nn.Identity):
            weight, bias = fold_input_scale_shift(
                weight, bias, *norm_scale_shift(final_norm, 'final_norm'))
        self.weight, self.bias = frozen((weight, bias))
        self._finish(next(backbone.parameters()))

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits (N, classes) of images (N, in_channels, H, W)."""
        features = self.backbone(x)[-1].mean((2, 3))  # (N, C)
        return F.linear(features, self.weight, self.bias)


def _fused_backbone(backbone: MergeableBackbone,
                    final_norm: bool = True) -> FusedModule:
    if isinstance(backbone, RepMLPNet):
        return FusedRepMLPNet(backbone, final_norm)
    return FusedBackbone(backbone)
