"""As a backbone of another project's model, such as a detector of mmdet's."""
import copy

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope, Registry
from torch import nn

from mmcls_repmlp import RepMLPNet, RepMLPResNet
from mmcls_repmlp.host import NAME
from tests.helpers import TINY_CFG, TINY_RESNET_CFG, randn

# What mmengine calls the scope is what other projects' configs write.
SCOPES = sorted({'mmcls', NAME})
NETS = [(RepMLPNet, TINY_CFG), (RepMLPResNet, TINY_RESNET_CFG)]


class Detector(BaseModel):
    """The mean of every map of the backbone, times a weight that is learnt."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = ROOT_MODELS.children['detectors'].build(backbone)
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, inputs):
        means = torch.stack([x.mean() for x in self.backbone(inputs)])
        return (means * self.weight).square().sum()


@pytest.fixture(autouse=True)
def _detectors():
    """A registry of a scope of its own, as every project has."""
    registry = Registry('model', parent=ROOT_MODELS, scope='detectors')
    registry.register_module(module=Detector)
    with DefaultScope.overwrite_default_scope('detectors'):
        yield
    del ROOT_MODELS.children['detectors']


@pytest.mark.parametrize('scope', SCOPES)
@pytest.mark.parametrize(('kind', 'cfg'), NETS)
def test_trains_in_the_scope_of_another_project(kind, cfg, scope):
    backbone = dict(
        cfg,
        type=f'{scope}.{kind.__name__}',
        out_indices=(0, 1, 2),
        frozen_stages=0,
        norm_eval=True)
    model = ROOT_MODELS.children['detectors'].build(
        dict(type='Detector', backbone=backbone)).train()
    model.init_weights()
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), 1e-2)
    model(randn(2, 3, *model.backbone.img_size).float()).backward()
    optimizer.step()
    assert type(model.backbone) is kind
    state = model.state_dict()
    moved = [key for key in state if not state[key].equal(before[key])]
    frozen = tuple(f'backbone.{part}.'
                   for part, stage in model.backbone.stage_of_module.items()
                   if stage <= 0)
    assert not [name for name in moved if name.startswith(frozen)]
    assert not [name for name in moved if name.endswith('running_mean')]
    assert {name.split('.')[0] for name in moved} == {'backbone', 'weight'}
