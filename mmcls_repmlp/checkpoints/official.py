"""Names of the official models' parameters and of ours, both ways.

Sources: github.com/DingXiaoH/RepMLP at 3eff13f for RepMLPNet and at b626c3d
for RepMLP-ResNet. Our names of RepMLPNet are those of OpenMMLab's
classifier and are frozen by published checkpoints.
"""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from repmlp_lite.errors import CheckpointError

T = TypeVar('T')


class RenameTable(NamedTuple):
    """Names of one kind of model, by our type of its backbone.

    Each row is a place in the model: (official, ours), with {n} for a number.
    A name is a place followed by the rest, which both sides share.
    """
    backbone: str
    rows: tuple[tuple[str, str], ...]


REPMLPNET = RenameTable('RepMLPNet', (
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
))
REPMLP_RESNET = RenameTable('RepMLPResNet', (
    ('stage{n}', 'backbone.stage{n}'),
    ('linear', 'head.fc'),
))

# timm's ResMLP (huggingface/pytorch-image-models at 1.0.31).
RESMLP = RenameTable('ResMLP', (
    ('stem', 'backbone.stem'),
    ('blocks.{n}', 'backbone.stages.{n}.0'),
    ('norm', 'backbone.norm'),
    ('head', 'head.fc'),
))


def convert_to_mmcls(state_dict: Mapping[str, T],
                     table: RenameTable = REPMLPNET) -> dict[str, T]:
    """Rename an official state dict's entries to ours.

    Raises:
        CheckpointError: If a name is not one of the official model's.
    """
    return _rename(state_dict, table.rows, f'official {table.backbone}')


def convert_to_official(state_dict: Mapping[str, T],
                        table: RenameTable = REPMLPNET) -> dict[str, T]:
    """Rename our state dict's entries to the official ones.

    Raises:
        CheckpointError: If a name is not one of our classifier's.
    """
    swapped = [(ours, official) for official, ours in table.rows]
    return _rename(state_dict, swapped, f'OpenMMLab {table.backbone}')


def _rename(state_dict: Mapping[str, T], rows: Sequence[tuple[str, str]],
            model: str) -> dict[str, T]:
    rules = [(
        re.compile(re.escape(old).replace(r'\{n\}', r'(\d+)') + r'(\.[\w.]+)'),
        new.replace('{n}', '{}') + '{}') for old, new in rows]
    renamed = {}
    for key, value in state_dict.items():
        for pattern, new in rules:
            if match := pattern.fullmatch(key):
                renamed[new.format(*match.groups())] = value
                break
        else:
            raise CheckpointError(f'{key!r} is not a parameter of the {model}')
    return renamed
