import pytest
import torch

from mmcls_repmlp.checkpoints import convert_to_mmcls, convert_to_official
from mmcls_repmlp.checkpoints.official import RESNET_NAMES
from mmcls_repmlp.errors import CheckpointError
from tests.helpers import DATA


@pytest.mark.parametrize('name', ['square', 'rectangular'])
def test_names_are_converted_both_ways(name):
    official = torch.load(
        DATA / f'repmlpnet_{name}.pt', weights_only=True)['state_dict']
    ours = convert_to_mmcls(official)
    assert len(ours) == len(official)
    back = convert_to_official(ours)
    assert list(back) == list(official)
    assert all(back[key] is official[key] for key in official)


@pytest.mark.parametrize(
    ('official', 'ours'),
    [('conv_embedding.conv.weight', 'backbone.patch_embed.projection.weight'),
     ('stages.1.10.prebn2.bias', 'backbone.stages.1.10.norm2.bias'),
     ('stages.0.1.repmlp_block.gp.fc1.bias',
      'backbone.stages.0.1.repmlp_block.gp.conv1.conv.bias'),
     ('stages.0.1.repmlp_block.repconv3.bn.running_mean',
      'backbone.stages.0.1.repmlp_block.repconv3.bn.running_mean'),
     ('embeds.2.bn.weight', 'backbone.downsample_layers.2.bn.weight'),
     ('head_norm.weight', 'backbone.final_norm.weight'),
     ('head.weight', 'head.fc.weight')])
def test_names(official, ours):
    assert list(convert_to_mmcls({official: 0})) == [ours]
    assert list(convert_to_official({ours: 0})) == [official]


@pytest.mark.parametrize('name', [
    'fc.weight', 'x.head.weight', 'headx.weight', 'stages.a.0.prebn1.weight',
    'stages.0.0.prebn1', 'conv_embedding_conv.weight'
])
def test_unknown_names_are_refused(name):
    with pytest.raises(
            CheckpointError, match=f"'{name}' is no parameter of "
            'the official'):
        convert_to_mmcls({name: 0})


@pytest.mark.parametrize('block', ['light', 'bottleneck'])
def test_names_of_repmlp_resnet(block):
    official = torch.load(
        DATA / f'repmlp_resnet_{block}.pt', weights_only=True)['state_dict']
    ours = convert_to_mmcls(official, RESNET_NAMES)
    first, *_, last = ours
    assert (first, last) == ('backbone.stage0.0.conv.weight', 'head.fc.bias')
    assert list(convert_to_official(ours, RESNET_NAMES)) == list(official)
    with pytest.raises(
            CheckpointError,
            match="'head.weight' is no parameter "
            'of the official RepMLPResNet'):
        convert_to_mmcls({'head.weight': 0}, RESNET_NAMES)
