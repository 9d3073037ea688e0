import pytest
import torch

from mmcls_repmlp import RepMLPNet
from mmcls_repmlp.checkpoints import load_strictly, resized_state_dict
from mmcls_repmlp.ops import resize_fc, resize_fc_bias
from tests.helpers import TINY_CFG, assert_same, randn, random_model

SIZES = {
    'stages.0.0': ((8, 8), (12, 6)),
    'stages.1.0': ((4, 4), (6, 3)),
    'stages.1.1': ((4, 4), (6, 3)),
    'stages.2.0': ((2, 2), (3, 1))
}


def models(deploy):
    source = random_model(RepMLPNet, **TINY_CFG, deploy=deploy)
    target = random_model(
        RepMLPNet, 1, **{
            **TINY_CFG, 'img_size': (48, 24)
        }, deploy=deploy)
    return source, target


@pytest.mark.parametrize('deploy', [False, True])
def test_fc3_is_resized_and_all_else_is_what_it_was(deploy):
    source, target = models(deploy)
    before, weights = source.state_dict(), resized_state_dict(source, target)
    assert weights.keys() == before.keys()
    for key, value in weights.items():
        if '.fc3.' not in key:
            assert torch.equal(value, before[key])
            continue
        resize = resize_fc if key.endswith('weight') else resize_fc_bias
        unit = key.split('.repmlp_block')[0]
        assert_same(value, resize(before[key], *SIZES[unit]))
    load_strictly(target, weights, 'resized')
    assert target(randn(1, 3, 48, 24))[0].isfinite().all()


def test_the_source_is_left_alone():
    source, target = models(False)
    before = {k: v.clone() for k, v in source.state_dict().items()}
    resized_state_dict(source, target)
    assert_same([*source.state_dict().values()], [*before.values()], 0)


def test_the_same_size_changes_nothing():
    source, _ = models(True)
    weights = resized_state_dict(source, source)
    assert all(
        torch.equal(v, weights[k]) for k, v in source.state_dict().items())
