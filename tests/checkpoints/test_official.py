import pytest
import torch

from mmcls_repmlp.checkpoints import convert_to_mmcls, convert_to_official
from mmcls_repmlp.checkpoints.official import NAMES, RESNET_NAMES
from repmlp_lite.errors import CheckpointError
from tests.helpers import DATA

BLOCK = 'stages.0.1.repmlp_block'


@pytest.mark.parametrize(('name', 'names'), [
    ('repmlpnet_square', NAMES),
    ('repmlpnet_rectangular', NAMES),
    ('repmlp_resnet_light', RESNET_NAMES),
    ('repmlp_resnet_bottleneck', RESNET_NAMES),
])
def test_names_are_converted_both_ways(name, names):
    oracle = torch.load(DATA / f'{name}.pt', weights_only=True)
    official = oracle['state_dict']
    ours = convert_to_mmcls(official, names)
    assert len(ours) == len(official)
    back = convert_to_official(ours, names)
    assert list(back) == list(official)
    assert all(back[key] is official[key] for key in official)


@pytest.mark.parametrize(('names', 'official', 'ours'), [
    (NAMES, 'conv_embedding.conv.w', 'backbone.patch_embed.projection.w'),
    (NAMES, 'conv_embedding.bn.w', 'backbone.patch_embed.norm.w'),
    (NAMES, 'stages.1.10.prebn2.bias', 'backbone.stages.1.10.norm2.bias'),
    (NAMES, f'{BLOCK}.gp.fc1.bias', f'backbone.{BLOCK}.gp.conv1.conv.bias'),
    (NAMES, f'{BLOCK}.repconv3.bn.b', f'backbone.{BLOCK}.repconv3.bn.b'),
    (NAMES, 'embeds.2.bn.weight', 'backbone.downsample_layers.2.bn.weight'),
    (NAMES, 'head_norm.weight', 'backbone.final_norm.weight'),
    (NAMES, 'head.weight', 'head.fc.weight'),
    (RESNET_NAMES, 'stage0.0.conv.weight', 'backbone.stage0.0.conv.weight'),
    (RESNET_NAMES, 'linear.bias', 'head.fc.bias'),
])
def test_names(names, official, ours):
    assert list(convert_to_mmcls({official: 0}, names)) == [ours]
    assert list(convert_to_official({ours: 0}, names)) == [official]


@pytest.mark.parametrize(('names', 'name', 'model'), [
    *((NAMES, name, 'RepMLPNet')
      for name in ('fc.weight', 'x.head.weight', 'headx.weight',
                   'stages.a.0.prebn1.weight', 'stages.0.0.prebn1',
                   'conv_embedding_conv.weight')),
    (RESNET_NAMES, 'head.weight', 'RepMLPResNet'),
])
def test_unknown_names_are_refused(names, name, model):
    message = f"'{name}' is no parameter of the official {model}$"
    with pytest.raises(CheckpointError, match=message):
        convert_to_mmcls({name: 0}, names)
