"""Tell from the shapes of weights which RepMLPNet they belong to.

Names are OpenMMLab's. S sharesets, h w partition: fc3.weight is
(S*h*w, h*w, 1, 1), so that its first axis over its second is S.
"""
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isqrt, prod
from typing import Any

from torch import Tensor

from mmcls_repmlp.host import make_divisible
from mmcls_repmlp.models.repmlpnet.arch import ARCH_ZOO, Arch, resolve_arch
from repmlp_lite.errors import CheckpointError, option

_RATIO = 4  # of the gate; the same in every published model
_BLOCK = re.compile(r'backbone\.stages\.(\d+)\.(\d+)\.repmlp_block\.'
                    r'(?:repconv(\d+)\.conv|fc3)\.(?:weight|bias)')


@dataclass(frozen=True)
class Recognized:
    """What weights say about their model.

    Attributes:
        arch: Channels, depths and sharesets.
        img_size: Height and width of the images trained on.
        in_channels: Channels of the images.
        patch_size: Height and width of a patch.
        kernels: Sizes of the local convolutions.
        deploy: Whether the weights are merged.
        num_classes: Outputs of the head, None without one.
    """
    arch: Arch
    img_size: tuple[int, int]
    in_channels: int
    patch_size: tuple[int, int]
    kernels: tuple[int, ...]
    deploy: bool
    num_classes: int | None

    @property
    def variant(self) -> str | None:
        """Name of a published variant, None for any other."""
        return next(
            (name for name, arch in ARCH_ZOO.items() if arch == self.arch),
            None)

    @property
    def name(self) -> str:
        """Name such as 'B224' or, of no published variant, 'custom 224'."""
        height, width = self.img_size
        size = f'{height}' if height == width else f'{height}x{width}'
        return f'{self.variant.upper() if self.variant else "custom "}{size}'

    def classifier(self) -> dict[str, Any]:
        """Config of the model that these weights fill, perhaps headless."""
        backbone = dict(
            type='RepMLPNet',
            arch=self.variant or asdict(self.arch),
            img_size=self.img_size,
            in_channels=self.in_channels,
            patch_size=self.patch_size,
            out_indices=(self.arch.num_stages - 1, ),
            reparam_conv_kernels=self.kernels,
            deploy=self.deploy)
        neck = dict(type='GlobalAveragePooling')
        model = dict(type='ImageClassifier', backbone=backbone, neck=neck)
        if self.num_classes is not None:
            model['head'] = dict(
                type='LinearClsHead',
                num_classes=self.num_classes,
                in_channels=self.arch.channels[-1])
        return model


def recognize(weights: Mapping[str, Tensor],
              img_size: tuple[int, int] | None = None) -> Recognized:
    """Recognize a RepMLPNet classifier, of any size, by its weights.

    Args:
        weights: State dict with our names, of any device.
        img_size: Height and width of the images trained on. Defaults to
            square ones: shapes tell the area of a partition alone.

    Returns:
        The model. That every weight fits it is not checked here.

    Raises:
        CheckpointError: If something that identifies the model is absent, or
            contradicts itself or ``img_size``.
    """
    try:
        return _recognize(weights, img_size)
    except KeyError as error:
        raise CheckpointError(
            f'{error.args[0]!r} is missing, which every RepMLPNet has'
        ) from error
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise CheckpointError(
            f'the shapes are those of no RepMLPNet ({error})') from error


def _recognize(weights: Mapping[str, Tensor],
               img_size: tuple[int, int] | None) -> Recognized:
    found = [match for key in weights if (match := _BLOCK.fullmatch(key))]
    if not found:
        raise KeyError('backbone.stages.0.0.repmlp_block.fc3.weight')
    depths = _depths({(int(m[1]), int(m[2])) for m in found})
    blocks = [f'backbone.stages.{i}.0' for i in range(len(depths))]
    channels = [len(weights[f'{b}.norm1.weight']) for b in blocks]
    rows, areas = zip(*(weights[f'{b}.repmlp_block.fc3.weight'].shape[:2]
                        for b in blocks))
    hidden = [
        len(weights[f'{b}.repmlp_block.gp.conv1.conv.weight']) for b in blocks
    ]
    arch = resolve_arch(
        dict(
            channels=channels,
            depths=depths,
            sharesets_nums=[row // area for row, area in zip(rows, areas)],
            globalperceptron_divisor=_gate_divisor(channels, hidden)))
    _, in_channels, *patch = weights[
        'backbone.patch_embed.projection.weight'].shape
    patch_size = patch[0], patch[1]
    head = weights.get('head.fc.weight')
    return Recognized(arch, _image_size(areas, patch_size,
                                        img_size), in_channels, patch_size,
                      tuple(sorted({int(m[3])
                                    for m in found if m[3]})),
                      f'{blocks[0]}.repmlp_block.fc3.bias' in weights,
                      None if head is None else len(head))


def _depths(places: set[tuple[int, int]]) -> list[int]:
    stages = range(max(stage for stage, _ in places) + 1)
    return [sum(stage == i for stage, _ in places) for i in stages]


def _gate_divisor(channels: list[int], hidden: list[int]) -> int:
    # OpenMMLab rounds the gate's width to eights, the official code does not;
    # where both come to the same, it is OpenMMLab's default.
    for divisor in (8, 1):
        if hidden == [make_divisible(c // _RATIO, divisor) for c in channels]:
            return divisor
    raise ValueError(f'gates of {hidden} units for {channels} channels')


def _image_size(areas: tuple[int, ...], patch: tuple[int, int],
                given: tuple[int, int] | None) -> tuple[int, int]:
    side = isqrt(areas[0])
    if given is None and side * side != areas[0]:
        raise ValueError(f'partitions of {areas[0]} positions are not square: '
                         f'pass {option("img_size", "HEIGHT WIDTH")}')
    size = given or (side * patch[0], side * patch[1])
    for stage, area in enumerate(areas):
        expected = prod(length // step >> stage
                        for length, step in zip(size, patch))
        if area != expected:
            raise ValueError(
                f'stage {stage} has partitions of {area} positions, images '
                f'of {size[0]}x{size[1]} give {expected}')
    return size
