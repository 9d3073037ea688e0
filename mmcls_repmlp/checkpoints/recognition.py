"""Recognition of a RepMLPNet by names and shapes of its weights.

Names are OpenMMLab's. S sharesets, h w partition: fc3.weight is
(S*h*w, h*w, 1, 1), so that its first axis over its second is S.
"""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isqrt, prod
from typing import Any, NamedTuple

from torch import Tensor

from mmcls_repmlp.host import make_divisible
from mmcls_repmlp.models.compatibility import is_merged
from mmcls_repmlp.models.repmlpnet.arch import ARCH_ZOO, Arch, resolve_arch
from mmcls_repmlp.models.resmlp.resmlp import ResMLPArch
from repmlp_lite.errors import CheckpointError, option

_RATIO = 4  # of the gate; the same in every published model
_BLOCK = re.compile(r'backbone\.stages\.(\d+)\.(\d+)\.repmlp_block\.'
                    r'(?:repconv(\d+)\.conv|fc3)\.(?:weight|bias)')
Size = tuple[int, int]


class Recognized(NamedTuple):
    """Model that weights belong to.

    Attributes:
        name: Such as 'B224'; 'custom 224' if its arch is not published.
        arch: Sizes of a RepMLPNet, or of a published ResMLP; otherwise None.
        classifier: Config of the model, headless if the weights are.
    """
    name: str
    arch: Arch | ResMLPArch | None
    classifier: dict[str, Any]


def recognize(weights: Mapping[str, Tensor],
              img_size: Size | None = None) -> Recognized:
    """Recognize a RepMLPNet classifier, of any size, by its weights.

    Args:
        weights: State dict with our names, of any device.
        img_size: Height and width of the images trained on. Defaults to
            square ones: shapes tell the area of a partition alone.

    Returns:
        The model. That every weight fits it is not checked here.

    Raises:
        CheckpointError: If what identifies a model is absent or contradictory.
    """
    try:
        return _recognize(weights, img_size)
    except KeyError as error:
        message = f'{error.args[0]!r} is missing, which every RepMLPNet has'
        raise CheckpointError(message) from error
    except (ValueError, IndexError, ZeroDivisionError) as error:
        message = f'the shapes are those of no RepMLPNet ({error})'
        raise CheckpointError(message) from error


def _recognize(weights: Mapping[str, Tensor],
               img_size: Size | None) -> Recognized:
    found = [match for key in weights if (match := _BLOCK.fullmatch(key))]
    stages = [int(stage) for stage, _ in {m.group(1, 2) for m in found}]
    depths = [stages.count(i) for i in range(max(stages, default=0) + 1)]
    arch, areas = _arch_and_areas(weights, depths)
    _, in_channels, *patch = weights[
        'backbone.patch_embed.projection.weight'].shape
    size = _image_size(areas, patch, img_size)
    variant = next((name for name in ARCH_ZOO if ARCH_ZOO[name] == arch), None)
    kernels = tuple(sorted({int(m[3]) for m in found if m[3]}))
    model = dict(
        type='ImageClassifier',
        backbone=dict(
            type='RepMLPNet',
            arch=variant or asdict(arch),
            img_size=size,
            in_channels=in_channels,
            patch_size=tuple(patch),
            out_indices=(arch.num_stages - 1, ),
            reparam_conv_kernels=kernels,
            deploy=is_merged(weights)),
        neck=dict(type='GlobalAveragePooling'))
    if 'head.fc.weight' in weights:
        classes, channels = weights['head.fc.weight'].shape
        model['head'] = dict(
            type='LinearClsHead', num_classes=classes, in_channels=channels)
    name = variant.upper() if variant else 'custom '
    name += 'x'.join(map(str, size if size[0] != size[1] else size[:1]))
    return Recognized(name, arch, model)


def _arch_and_areas(weights: Mapping[str, Tensor],
                    depths: Sequence[int]) -> tuple[Arch, tuple[int, ...]]:
    """Read what goes by stages, and the positions of their partitions."""
    channels, rows, areas, hidden = zip(
        *((len(weights[f'{block}.norm1.weight']),
           *weights[f'{block}.repmlp_block.fc3.weight'].shape[:2],
           len(weights[f'{block}.repmlp_block.gp.conv1.conv.weight']))
          for block in (f'backbone.stages.{i}.0' for i in range(len(depths)))))
    # OpenMMLab rounds the gate's width to eights, the official code does not;
    # where both come to the same, it is OpenMMLab's default.
    divisor = next((divisor for divisor in (8, 1) if hidden == tuple(
        make_divisible(c // _RATIO, divisor) for c in channels)), None)
    if divisor is None:
        raise ValueError(f'gates of {hidden} units for {channels} channels')
    arch = dict(
        channels=channels,
        depths=depths,
        sharesets_nums=[row // area for row, area in zip(rows, areas)],
        globalperceptron_divisor=divisor)
    return resolve_arch(arch), areas


def _image_size(areas: Sequence[int], patch: Sequence[int],
                size: Size | None) -> Size:
    if size is None:
        side = isqrt(areas[0])
        if side * side != areas[0]:
            raise ValueError(
                f'partitions of {areas[0]} positions are not square: '
                f'pass {option("img_size", "HEIGHT WIDTH")}')
        size = side * patch[0], side * patch[1]
    for stage, area in enumerate(areas):
        expected = prod(length // step >> stage
                        for length, step in zip(size, patch))
        if area != expected:
            raise ValueError(
                f'stage {stage} has partitions of {area} positions, images '
                f'of {size[0]}x{size[1]} give {expected}')
    return size
