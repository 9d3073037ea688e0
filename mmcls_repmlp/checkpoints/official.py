"""Names of the official models' parameters and of ours, both ways.

Sources: github.com/DingXiaoH/RepMLP at 3eff13f for RepMLPNet and at b626c3d
for RepMLP-ResNet, huggingface/pytorch-image-models at 1.0.31 and
facebookresearch/deit at 7e160fe for ResMLP. Our names of RepMLPNet are those
of OpenMMLab's classifier and are frozen by published checkpoints.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from repmlp_lite.errors import CheckpointError

T = TypeVar('T')
Rows = tuple[tuple[str, str], ...]


class RenameTable(NamedTuple):
    """Names of one kind of model, by our type of its backbone.

    Each row is a place in the model: (official, ours), with {n} for a number.
    A name is a place followed by the rest, which both sides share; with a $,
    the place is the name. Tensors whose names end with one of ``vectors`` are
    (C) there, (1, 1, C) here.
    """
    backbone: str
    rows: Rows
    vectors: tuple[str, ...] = ()


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

RESMLP_TIMM = RenameTable('ResMLP', (
    ('stem', 'backbone.stem'),
    ('blocks.{n}', 'backbone.stages.{n}.0'),
    ('norm', 'backbone.norm'),
    ('head', 'head.fc'),
))
RESMLP_DEIT = RenameTable('ResMLP', (
    ('patch_embed.proj', 'backbone.stem.proj'),
    ('blocks.{n}.norm{n}', 'backbone.stages.{n}.0.norm{n}'),
    ('blocks.{n}.attn', 'backbone.stages.{n}.0.linear_tokens'),
    ('blocks.{n}.gamma_{n}$', 'backbone.stages.{n}.0.ls{n}$'),
    ('blocks.{n}.mlp', 'backbone.stages.{n}.0.mlp_channels'),
    ('norm', 'backbone.norm'),
    ('head', 'head.fc'),
), ('.alpha', '.beta'))
TABLES = REPMLPNET, REPMLP_RESNET, RESMLP_TIMM, RESMLP_DEIT


def table_of(names: Iterable[str]) -> RenameTable:
    """Return the table that knows the most names, of either side."""
    names = [*names]

    def count_known(table: RenameTable) -> int:
        return max(
            sum(_renamed(name, rules) is not None for name in names)
            for rules in (_rules(table.rows), _rules(_swap(table.rows))))

    return max(TABLES, key=count_known)


def convert_to_mmcls(state_dict: Mapping[str, T],
                     table: RenameTable = REPMLPNET) -> dict[str, T]:
    """Rename an official state dict's entries to ours.

    Raises:
        CheckpointError: If a name is not one of the official model's.
    """
    renamed = _rename(state_dict, table.rows, f'official {table.backbone}')
    return _map_vectors(renamed, table, lambda value: value[None, None])


def convert_to_official(state_dict: Mapping[str, T],
                        table: RenameTable = REPMLPNET) -> dict[str, T]:
    """Rename our state dict's entries to the official ones.

    Raises:
        CheckpointError: If a name is not one of our classifier's.
    """
    renamed = _rename(state_dict, _swap(table.rows),
                      f'OpenMMLab {table.backbone}')
    return _map_vectors(renamed, table, lambda value: value.flatten())


def _rename(state_dict: Mapping[str, T], rows: Rows,
            model: str) -> dict[str, T]:
    rules, renamed = _rules(rows), {}
    for key, value in state_dict.items():
        name = _renamed(key, rules)
        if name is None:
            raise CheckpointError(f'{key!r} is not a parameter of the {model}')
        renamed[name] = value
    return renamed


def _renamed(name: str, rules: Iterable[tuple[re.Pattern, str]]) -> str | None:
    for pattern, new in rules:
        if match := pattern.fullmatch(name):
            return new.format(*match.groups())
    return None


def _rules(rows: Rows) -> list[tuple[re.Pattern, str]]:
    """Compile patterns of old names, and formats of the new ones."""
    rules = []
    for old, new in rows:
        if not old.endswith('$'):
            old, new = old + '{rest}', new + '{rest}'
        pattern = re.escape(old.rstrip('$')).replace(r'\{n\}', r'(\d+)')
        pattern = pattern.replace(r'\{rest\}', r'(\.[\w.]+)')
        new = new.rstrip('$').replace('{n}', '{}').replace('{rest}', '{}')
        rules.append((re.compile(pattern), new))
    return rules


def _swap(rows: Rows) -> Rows:
    return tuple((ours, official) for official, ours in rows)


def _map_vectors(state_dict: dict[str, Any], table: RenameTable,
                 reshape: Callable[[Any], Any]) -> dict[str, Any]:
    return {
        name: reshape(value) if name.endswith(table.vectors) else value
        for name, value in state_dict.items()
    }
