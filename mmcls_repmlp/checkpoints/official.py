"""Names of the official models' parameters and of ours, both ways.

Sources: github.com/DingXiaoH/RepMLP at 3eff13f for RepMLPNet and at b626c3d
for RepMLP-ResNet. Our names of RepMLPNet are those of OpenMMLab's
classifier and are frozen by published checkpoints.
"""
from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from repmlp_lite.errors import CheckpointError

T = TypeVar('T')
Names = tuple[tuple[str, str], ...]

# One row per place: (official, ours). A number in the name stands as {n}.
# Every name is a place followed by the rest, which both sides share.
NAMES = (
    ('conv_embedding.conv', 'backbone.patch_embed.projection'),
    ('conv_embedding.bn', 'backbone.patch_embed.norm'),
    ('stages.{n}.{n}.prebn{n}', 'backbone.stages.{n}.{n}.norm{n}'),
    ('stages.{n}.{n}.repmlp_block.gp.fc{n}',
     'backbone.stages.{n}.{n}.repmlp_block.gp.conv{n}.conv'),
    ('stages.{n}.{n}.repmlp_block.fc3',
     'backbone.stages.{n}.{n}.repmlp_block.fc3'),
    ('stages.{n}.{n}.repmlp_block.fc3_bn',
     'backbone.stages.{n}.{n}.repmlp_block.fc3_bn'),
    ('stages.{n}.{n}.repmlp_block.repconv{n}',
     'backbone.stages.{n}.{n}.repmlp_block.repconv{n}'),
    ('stages.{n}.{n}.ffn_block', 'backbone.stages.{n}.{n}.ffn_block'),
    ('embeds.{n}', 'backbone.downsample_layers.{n}'),
    ('head_norm', 'backbone.final_norm'),
    ('head', 'head.fc'),
)

RESNET_NAMES = (
    ('stage{n}', 'backbone.stage{n}'),
    ('linear', 'head.fc'),
)
BACKBONES = {NAMES: 'RepMLPNet', RESNET_NAMES: 'RepMLPResNet'}


def convert_to_mmcls(state_dict: Mapping[str, T],
                     names: Names = NAMES) -> dict[str, T]:
    """Rename an official state dict's entries to ours.

    Args:
        state_dict: The entries.
        names: :data:`NAMES` of RepMLPNet, the default, or
            :data:`RESNET_NAMES` of RepMLP-ResNet.

    Raises:
        CheckpointError: If a name is none of the official model's.
    """
    return _rename(state_dict, names, f'official {BACKBONES[names]}')


def convert_to_official(state_dict: Mapping[str, T],
                        names: Names = NAMES) -> dict[str, T]:
    """Rename our state dict's entries to the official ones.

    Args:
        state_dict: The entries.
        names: As in :func:`convert_to_mmcls`.

    Raises:
        CheckpointError: If a name is none of our classifier's.
    """
    swapped = tuple((ours, official) for official, ours in names)
    return _rename(state_dict, swapped, f'OpenMMLab {BACKBONES[names]}')


def _rename(state_dict: Mapping[str, T], names: Names,
            whose: str) -> dict[str, T]:
    rules = [(
        re.compile(re.escape(old).replace(r'\{n\}', r'(\d+)') + r'(\.[\w.]+)'),
        new) for old, new in names]
    renamed = {}
    for key, value in state_dict.items():
        match, new = next(
            ((m, new)
             for pattern, new in rules if (m := pattern.fullmatch(key))),
            (None, ''))
        if match is None:
            raise CheckpointError(f'{key!r} is no parameter of the {whose}')
        *numbers, rest = match.groups()
        for number in numbers:
            new = new.replace('{n}', number, 1)
        renamed[new + rest] = value
    return renamed
