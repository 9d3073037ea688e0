import re

import pytest
import torch

from mmcls_repmlp.jobs.repmlp_to_mmcls.published import (describe_closest,
                                                         published_models)
from mmcls_repmlp.models import ARCH_ZOO
from tests.helpers import ROOT


def test_models_of_one_kind_and_form():
    for deploy in (False, True):
        large, = published_models('RepMLPNet', deploy, ARCH_ZOO['l'])
        assert large.name == 'repmlp-large_8xb32_in1k-256px'
        assert (ROOT / 'configs/repmlp' / large.config.name).samefile(
            large.config)
        assert ('_deploy_' in large.config.name) is deploy
        merged = 'backbone.stages.0.0.repmlp_block.fc3.bias' in large.weights
        assert merged is deploy
        assert all(value.is_meta for value in large.weights.values())


def test_paths_are_as_one_would_type_them(monkeypatch):
    monkeypatch.chdir(ROOT)
    tiny = next(published_models('RepMLPNet', False, ARCH_ZOO['t']))
    assert str(tiny.config) == 'configs/repmlp/repmlp-tiny_8xb32_in1k.py'


@pytest.mark.parametrize(('share', 'said'), [
    (0, 'closest is {}, which differs in 1 of .* 1 unexpected: odd$'),
    (0.45, 'closest is {}, which differs in .* mis-shaped'),
    (0.55, 'closest is {}, but most entries differ from its own$'),
])
def test_the_closest_differs_least_and_if_it_is_far_it_is_not_told_how(
        share, said):
    cifar, = published_models('RepMLPCifarNet', True)
    weights = dict(cifar.weights, odd=torch.ones(1))
    for key in [*cifar.weights][:round(share * len(weights))]:
        weights[key] = torch.ones(1, 2, 3)
    assert re.match(
        said.format(cifar.name), describe_closest(weights, 'RepMLPCifarNet'))
