import pytest
import torch

from mmcls_repmlp.checkpoints import convert_to_mmcls, convert_to_official
from mmcls_repmlp.checkpoints.official import (REPMLP_RESNET, REPMLPNET,
                                               RESMLP_DEIT, RESMLP_TIMM,
                                               TABLES, table_of)
from repmlp_lite.errors import CheckpointError
from tests.helpers import DATA

BLOCK = 'stages.0.1.repmlp_block'


@pytest.mark.parametrize(('name', 'table'),
                         [('repmlpnet_square', REPMLPNET),
                          ('repmlp_resnet_bottleneck', REPMLP_RESNET)])
def test_names_are_converted_both_ways(name, table):
    oracle = torch.load(DATA / f'{name}.pt', weights_only=True)
    official = oracle['state_dict']
    ours = convert_to_mmcls(official, table)
    assert len(ours) == len(official)
    back = convert_to_official(ours, table)
    assert list(back) == list(official)
    assert all(back[key] is official[key] for key in official)


@pytest.mark.parametrize(('table', 'official', 'ours'), [
    (REPMLPNET, 'conv_embedding.conv.w', 'backbone.patch_embed.projection.w'),
    (REPMLPNET, 'stages.1.10.prebn2.bias', 'backbone.stages.1.10.norm2.bias'),
    (REPMLPNET, f'{BLOCK}.gp.fc1.bias',
     f'backbone.{BLOCK}.gp.conv1.conv.bias'),
    (REPMLPNET, f'{BLOCK}.repconv3.bn.b', f'backbone.{BLOCK}.repconv3.bn.b'),
    (REPMLPNET, 'embeds.2.bn.weight',
     'backbone.downsample_layers.2.bn.weight'),
    (REPMLPNET, 'head_norm.weight', 'backbone.final_norm.weight'),
    (REPMLPNET, 'head.weight', 'head.fc.weight'),
    (REPMLP_RESNET, 'stage0.0.conv.weight', 'backbone.stage0.0.conv.weight'),
    (REPMLP_RESNET, 'linear.bias', 'head.fc.bias'),
    (RESMLP_TIMM, 'blocks.11.ls1', 'backbone.stages.11.0.ls1'),
    (RESMLP_TIMM, 'blocks.0.mlp_channels.fc1.bias',
     'backbone.stages.0.0.mlp_channels.fc1.bias'),
    (RESMLP_DEIT, 'patch_embed.proj.bias', 'backbone.stem.proj.bias'),
    (RESMLP_DEIT, 'blocks.11.gamma_2', 'backbone.stages.11.0.ls2'),
    (RESMLP_DEIT, 'blocks.3.attn.weight',
     'backbone.stages.3.0.linear_tokens.weight'),
    (RESMLP_DEIT, 'blocks.3.mlp.fc2.bias',
     'backbone.stages.3.0.mlp_channels.fc2.bias'),
])
def test_names(table, official, ours):
    assert list(convert_to_mmcls({official: 0}, table)) == [ours]
    assert list(convert_to_official({ours: 0}, table)) == [official]


@pytest.mark.parametrize(('table', 'name', 'model'), [
    *((REPMLPNET, name, 'RepMLPNet')
      for name in ('x.head.weight', 'headx.weight', 'stages.a.0.prebn1.weight',
                   'stages.0.0.prebn1', 'conv_embedding_conv.weight')),
    (REPMLP_RESNET, 'head.weight', 'RepMLPResNet'),
    (RESMLP_DEIT, 'blocks.0.gamma_1.weight', 'ResMLP'),
])
def test_unknown_names_are_refused(table, name, model):
    message = f"'{name}' is not a parameter of the official {model}$"
    with pytest.raises(CheckpointError, match=message):
        convert_to_mmcls({name: 0}, table)


def test_the_first_resmlp_had_vectors():
    names = 'norm.alpha', 'blocks.0.norm1.beta', 'blocks.0.gamma_1'
    affine = {name: torch.rand(3) for name in names}
    ours = convert_to_mmcls(affine, RESMLP_DEIT)
    assert {
        name: tuple(value.shape)
        for name, value in ours.items()
    } == {
        'backbone.norm.alpha': (1, 1, 3),
        'backbone.stages.0.0.norm1.beta': (1, 1, 3),
        'backbone.stages.0.0.ls1': (3, )
    }
    back = convert_to_official(ours, RESMLP_DEIT)
    assert back.keys() == affine.keys()
    assert all(torch.equal(back[name], affine[name]) for name in affine)


@pytest.mark.parametrize('table', TABLES, ids=range(len(TABLES)))
def test_the_table_is_found_by_the_names(table):
    names = [
        f'{name.format(n=0).removesuffix("$")}{"" if "$" in name else ".w"}'
        for name, _ in table.rows
    ]
    assert table_of(names) is table
    # Both tables of ResMLP have the same names on our side.
    found = table_of(
        convert_to_mmcls(dict.fromkeys(names, torch.ones(1)), table))
    assert found.backbone == table.backbone
