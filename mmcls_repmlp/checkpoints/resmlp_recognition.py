"""Recognition of a ResMLP by names and shapes of its weights."""
from __future__ import annotations

import re
from collections.abc import Mapping
from math import isqrt
from typing import Any

from torch import Tensor

from mmcls_repmlp.models.compatibility import is_merged
from mmcls_repmlp.models.resmlp.resmlp import ARCHS
from repmlp_lite.errors import CheckpointError, option

from .recognition import Recognized, Size

_MIXER = re.compile(r'backbone\.stages\.(\d+)\.0\.linear_tokens\.'
                    r'(?:repconv(\d+)\.conv\.)?weight')


def recognize_resmlp(weights: Mapping[str, Tensor],
                     img_size: Size | None = None) -> Recognized:
    """Recognize a ResMLP classifier, of any size, by its weights.

    Args:
        weights: State dict with our names, of any device.
        img_size: Height and width of the images trained on. Defaults to
            square ones: shapes tell the number of patches alone.

    Returns:
        The model. That every weight fits it is not checked here.

    Raises:
        CheckpointError: If what identifies a model is absent or contradictory.
    """
    found = [match for key in weights if (match := _MIXER.fullmatch(key))]
    stem = weights.get('backbone.stem.proj.weight')
    if stem is None or stem.dim() != 4 or not found:
        raise CheckpointError('the names or shapes are those of no ResMLP')
    channels, in_channels, *patch = stem.shape
    depth = len({match[1] for match in found})
    size = _image_size(len(weights[found[0][0]]), patch, img_size)
    variant = next((name for name, arch in ARCHS.items()
                    if (arch.channels, arch.depth) == (channels, depth)), None)
    model: dict[str, Any] = dict(
        type='ImageClassifier',
        backbone=dict(
            type='ResMLP',
            arch=variant or dict(channels=channels, depth=depth),
            img_size=size,
            in_channels=in_channels,
            patch_size=tuple(patch),
            reparam_conv_kernels=tuple(
                sorted({int(match[2])
                        for match in found if match[2]})) or None,
            deploy=is_merged(weights)),
        neck=dict(type='GlobalAveragePooling'))
    if 'head.fc.weight' in weights:
        model['head'] = dict(
            type='LinearClsHead',
            num_classes=len(weights['head.fc.weight']),
            in_channels=channels)
    height, width = size
    name = (f'ResMLP-{variant.upper()}' if variant else 'custom ResMLP') + (
        f' {height}' if height == width else f' {height}x{width}')
    return Recognized(name, ARCHS.get(variant or ''), model)


def _image_size(positions: int, patch: list[int], size: Size | None) -> Size:
    if size is None:
        side = isqrt(positions)
        if side * side != positions:
            raise CheckpointError(
                f'a grid of {positions} positions is not square: pass '
                f'{option("img_size", "HEIGHT WIDTH")}')
        return side * patch[0], side * patch[1]
    if size[0] // patch[0] * (size[1] // patch[1]) != positions:
        raise CheckpointError(
            f'there are {positions} positions, images of {size[0]}x{size[1]} '
            f'give {size[0] // patch[0] * (size[1] // patch[1])}')
    return size
