"""Fused form for serving: every norm folded that can be folded.

The deploy form merges the blocks only. Here every batch norm goes into a
neighbouring layer, the last one into the head's linear layer. Modules of a
copy are replaced one by one; those without a norm are kept.

Shape letters: N batch, C channels, S sharesets, H W map, h w partition, P
partitions per map, Q = h * w, M = N * P * C / S.
"""
from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from mmcv.cnn import ConvModule
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn

from mmcls_repmlp.host import (ArcFaceClsHead, GlobalAveragePooling,
                               LinearClsHead, LinearReduction)
from mmcls_repmlp.models.backbone import MergeableBackbone
from mmcls_repmlp.models.merge_blockers import (check_no_blockers,
                                                check_unwrapped)
from mmcls_repmlp.models.mergeable import merge_all
from mmcls_repmlp.models.norm_folding import (fold_conv_module,
                                              fold_leading_norm, fold_norm,
                                              is_foldable, linear_weights,
                                              scale_shift)
from mmcls_repmlp.models.repmlpnet.repmlp_block import (ConvFFN,
                                                        GlobalPerceptron,
                                                        RepMLPBlock,
                                                        RepMLPNetUnit)
from mmcls_repmlp.models.repmlpnet.repmlpnet import PatchEmbed
from mmcls_repmlp.ops import Affine, partition, run_in_chunks, unpartition

from .measured_layers import (MeasuredConv, MeasuredFC, MeasuredLayer,
                              MeasuredPointwise, freeze)


def fuse_for_inference(model: nn.Module,
                       example: Tensor | None = None) -> FusedModel:
    """Build the fused form of a backbone or a classifier.

    It computes the same as ``model`` in eval mode, but faster. It has no
    gradients and no checkpoint format. On a CPU in float32, the second call
    with images of a shape also times the formulations of its layers, and the
    fastest ones are kept.

    Args:
        model: One of this package's backbones, or a classifier with one,
            GlobalAveragePooling and LinearClsHead, or, for metric learning,
            GlobalAveragePooling, LinearReduction and a margin head; in
            training or deploy form; any dtype.
        example: Images (N, C, H, W) to time them with at once, in the dtype
            and on the device of ``model``. Defaults to none.

    Returns:
        A new module in eval mode, in the dtype and on the device of
        ``model``, which is not changed. It maps images to the maps of a
        backbone, the logits (N, classes) of a classifier or, for metric
        learning, unit vectors (N, D).

    Raises:
        TypeError: If ``model`` is of another kind, wrapped or sharded.
        ValueError: If a layer or norm cannot be fused; the message names it
            and the remedy.
    """
    model = getattr(model, '_orig_mod', model)  # which torch.compile wraps
    check_unwrapped(model)
    check_no_blockers(model.named_modules())
    with torch.inference_mode(False), torch.no_grad():
        backbone, linear, normalizes = _split_model(model)
        like = next(backbone.parameters())
        backbone = copy.deepcopy(backbone).double().eval()
        merge_all(backbone)
        if linear is not None:
            linear = _take_final_norm(backbone, linear)
        _fuse_children(backbone)
        fused = FusedModel(backbone, linear, normalizes).to(like)
        if example is not None:
            for _ in range(2):
                fused(example)
        return fused


class FusedModel(nn.Module):
    """Fused backbone, perhaps with pooling, a linear layer and L2 norm."""

    def __init__(self,
                 backbone: nn.Module,
                 linear: Affine | None = None,
                 normalizes: bool = False) -> None:
        super().__init__()
        self.backbone = backbone
        self.weight: nn.Parameter | None = None
        self.bias: nn.Parameter | None = None
        if linear is not None:
            self.weight, self.bias = _parameters(linear)
        self.normalizes = normalizes
        self.requires_grad_(False)
        self.eval()

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Compute maps, logits (N, classes) or unit vectors (N, D)."""
        outs = self.backbone(x)
        if self.weight is None:
            return outs
        features = outs[-1].mean((2, 3))  # (N, C)
        out = F.linear(features, self.weight, self.bias)
        return F.normalize(out) if self.normalizes else out

    @property
    def choices(self) -> dict[str, dict[tuple[int, ...], str]]:
        """Formulation of every layer that was timed, by name and shape."""
        return {
            name: layer.choices
            for name, layer in self.named_modules()
            if isinstance(layer, MeasuredLayer)
        }

    def train(self, mode: bool = True) -> FusedModel:
        """Stay in eval mode; raise a RuntimeError if ``mode`` is True."""
        if mode:
            raise RuntimeError('a fused model is for inference only: train '
                               'the original model')
        return super().train(False)


class FusedNorm(nn.Module):
    """Batch norm of maps as one multiplication and addition."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        scale, shift = scale_shift(norm, 'the map')
        self.scale, self.shift = _parameters(
            (scale.view(-1, 1, 1), shift.view(-1, 1, 1)))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return torch.addcmul(self.shift, x, self.scale)


class FusedConv(nn.Module):
    """Padding, convolution with folded weights, activation."""

    def __init__(self,
                 conv: nn.Conv2d,
                 affine: Affine,
                 activation: nn.Module | None = None,
                 padding: nn.Module | None = None) -> None:
        super().__init__()
        self.padding = padding
        relu = type(activation) is nn.ReLU
        self.conv = MeasuredConv(conv, affine, relu)
        self.activation = None if relu else activation

    def forward(self, x: Tensor) -> Tensor:
        """Convolve maps of shape (N, C, H, W)."""
        x = self.conv(x if self.padding is None else self.padding(x))
        return x if self.activation is None else self.activation(x)


class FusedUnit(nn.Module):
    """RepMLPNetUnit in deploy form with its norms folded.

    norm2 goes into the FFN. norm1, which both fc3 and the gate read, becomes a
    :class:`FusedNorm`.
    """

    def __init__(self, unit: RepMLPNetUnit) -> None:
        super().__init__()
        block, ffn = unit.repmlp_block, unit.ffn_block
        self.num_sharesets = block.num_sharesets
        self.partition_size = block.partition_size
        self.norm1 = FusedNorm(unit.norm1)
        weight, bias = linear_weights(block.fc3, 'fc3')
        self.fc3 = MeasuredFC((weight.flatten(1), bias))
        gate = (
            linear_weights(layer.conv, 'gp')
            for layer in (block.gp.conv1, block.gp.conv2))
        self.gate = _parameters(*((weight.flatten(1), bias)
                                  for weight, bias in gate))
        first = fold_conv_module(ffn.ffn_fc1, 'ffn_fc1')
        self.ffn1 = MeasuredPointwise(
            fold_leading_norm(unit.norm2, first, 'norm2'), gelu=True)
        self.ffn2 = MeasuredPointwise(fold_conv_module(ffn.ffn_fc2, 'ffn_fc2'))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        y = self.norm1(x)
        parts = partition(y, self.partition_size)  # (N*P, C, h, w)
        sets = parts.reshape(-1, self.num_sharesets,
                             self.fc3.weight.shape[1])  # (M, S, Q)
        out = unpartition(self.fc3(sets).reshape_as(parts), x.shape[2:])
        x = torch.addcmul(x, out, self._gate(y))
        return run_in_chunks(self._ffn, x, len(self.ffn1.weight))

    def _gate(self, y: Tensor) -> Tensor:
        weight1, bias1, weight2, bias2 = self.gate
        pooled = y.mean((2, 3))  # (N, C)
        hidden = F.relu_(F.linear(pooled, weight1, bias1))
        return F.linear(hidden, weight2, bias2).sigmoid_()[..., None, None]

    def _ffn(self, x: Tensor) -> Tensor:
        return self.ffn2(self.ffn1(x)).add_(x)


# Modules whose forward FusedUnit replaces; subclasses must not override it.
_UNIT_PARTS: dict[str, Any] = {
    '': RepMLPNetUnit,
    'drop_path': DropPath,
    'repmlp_block': RepMLPBlock,
    'repmlp_block.gp': GlobalPerceptron,
    'repmlp_block.gp.global_avgpool': nn.AdaptiveAvgPool2d,
    'repmlp_block.gp.conv1': ConvModule,
    'repmlp_block.gp.conv1.activate': nn.ReLU,
    'repmlp_block.gp.conv2': ConvModule,
    'repmlp_block.gp.conv2.activate': nn.Sigmoid,
    'ffn_block': ConvFFN,
    'ffn_block.act': nn.GELU,
}


def fuse_module(module: Any) -> nn.Module | None:
    """Return the fused replacement of a merged module, or None.

    It computes the same for inference, and may keep layers of ``module``.
    """
    try:
        if isinstance(module, RepMLPNetUnit):
            plain = all(
                type(module.get_submodule(name)).forward is kind.forward
                for name, kind in _UNIT_PARTS.items())
            return FusedUnit(module) if plain else None
        if type(module).forward is PatchEmbed.forward:
            return FusedConv(
                module.projection,
                fold_norm(module.projection, module.norm, 'projection'),
                module.act, module.adaptive_padding)
        if isinstance(module, ConvModule):
            return FusedConv(
                module.conv, fold_conv_module(module, 'conv'),
                module.activate if module.with_activation else None)
        if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm):
            return FusedNorm(module)
    except ValueError:
        pass  # a norm or layer of another kind stays as it is
    return None


def _fuse_children(module: nn.Module) -> None:
    for name, child in module.named_children():
        replacement = fuse_module(child)
        if replacement is None:
            _fuse_children(child)
        else:
            module.add_module(name, replacement)


def _split_model(model: Any) -> tuple[MergeableBackbone, Affine | None, bool]:
    """Return backbone, linear layer and whether outputs are normalized."""
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
        if isinstance(head, ArcFaceClsHead) and _is_linear_neck(neck):
            return backbone, _fold_reduction(neck[1]), True
    heads = f' with {type(head).__name__}' if head is not None else ''
    raise TypeError(
        f'{type(model).__name__}{heads} cannot be fused: expected a backbone '
        'of mmcls_repmlp, or a classifier of one, GlobalAveragePooling and '
        'LinearClsHead (with LinearReduction between: a margin head)')


def _is_linear_neck(neck: Any) -> bool:
    return (isinstance(neck, nn.Sequential) and len(neck) == 2
            and isinstance(neck[0], GlobalAveragePooling)
            and isinstance(neck[1], LinearReduction)
            and isinstance(neck[1].act, nn.Identity))


def _fold_reduction(neck: LinearReduction) -> Affine:
    if isinstance(neck.norm, nn.Identity):
        return linear_weights(neck.reduction, 'neck')
    return fold_norm(neck.reduction, neck.norm, 'neck')


def _take_final_norm(backbone: MergeableBackbone, linear: Affine) -> Affine:
    norm = getattr(backbone, 'final_norm', None)
    if (norm is None or not is_foldable(norm)
            or backbone.out_indices[-1] != backbone.num_stages - 1):
        return linear
    backbone.final_norm = nn.Identity()
    return fold_leading_norm(norm, linear, 'final_norm')


def _parameters(*affines: Affine) -> nn.ParameterList:
    return nn.ParameterList(
        parameter for affine in affines for parameter in freeze(affine))
