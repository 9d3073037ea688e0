import pytest
import torch

from mmcls_repmlp import RepMLPNet, ResMLP
from mmcls_repmlp.checkpoints import load_strictly, resized_state_dict
from mmcls_repmlp.ops import resize_fc, resize_fc_bias
from tests.helpers import TINY_CFG, randn, random_model

# Partitions of images of 32x32, and of 48x64, by stage.
SIZES = [((8, 8), (12, 16)), ((4, 4), (6, 8)), ((2, 2), (3, 4))]


@pytest.mark.parametrize('deploy', [False, True])
def test_fc3_is_resized_and_all_else_is_what_it_was(deploy):
    source, target = (
        random_model(RepMLPNet, **dict(TINY_CFG, img_size=size, deploy=deploy))
        for size in (32, (48, 64)))
    before = {key: t.clone() for key, t in source.state_dict().items()}
    weights = resized_state_dict(source, target)
    for key, value in source.state_dict().items():
        assert torch.equal(value, before[key])  # the source is left alone
        expected = value
        if '.fc3.' in key:
            resize = resize_fc if key.endswith('weight') else resize_fc_bias
            expected = resize(value, *SIZES[int(key.split('.')[1])])
        assert torch.equal(weights.pop(key), expected)
    assert not weights
    load_strictly(target, resized_state_dict(source, target), 'resized')
    assert target(randn(1, 3, 48, 64))[0].isfinite().all()


def test_other_weights_of_a_backbone_are_resized_if_they_have_the_size():
    source, target = (
        random_model(RepMLPNet, **dict(TINY_CFG, img_size=size))
        for size in (32, 64))
    with torch.device('meta'):  # its own weights are not read
        shapes = RepMLPNet(**TINY_CFG)
    whole = torch.nn.ModuleDict(dict(backbone=shapes))
    fitting = torch.nn.ModuleDict(dict(backbone=target))
    for weights in (source.state_dict(), target.state_dict()):
        resized = resized_state_dict(whole, fitting, weights)
        assert {
            key: value.shape
            for key, value in resized.items()
        } == {
            key: value.shape
            for key, value in target.state_dict().items()
        }
        same = weights is not None and [
            key for key in weights if resized[key] is not weights[key]
        ]
        assert all('.fc3.weight' in key for key in same)


def test_layers_over_positions_of_a_resmlp_are_resized():
    small = dict(arch=dict(channels=6, depth=2), patch_size=4)
    source, target = (
        random_model(
            ResMLP, img_size=size, reparam_conv_kernels=(3, ), **small)
        for size in ((12, 16), (24, 16)))
    weights = resized_state_dict(source, target)
    for key, value in source.state_dict().items():
        if key.endswith('linear_tokens.weight'):
            value = resize_fc(value, (3, 4), (6, 4))
        elif key.endswith('linear_tokens.bias'):
            value = resize_fc_bias(value, (3, 4), (6, 4))
        assert torch.equal(weights[key], value), key
    load_strictly(target, weights, 'resized')
