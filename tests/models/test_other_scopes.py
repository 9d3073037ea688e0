"""As a backbone of another project's model, such as a detector of mmdet's."""
import copy

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope, Registry
from mmengine.runner import Runner
from torch import nn

from mmcls_repmlp import RepMLPNet, RepMLPResNet
from mmcls_repmlp.host import NAME
from tests.helpers import TINY_CFG, TINY_RESNET_CFG, randomize

# What mmengine calls the scope is what other projects' configs write.
SCOPES = sorted({'mmcls', NAME})
NETS = [
    (RepMLPNet, TINY_CFG, (8, 16, 32)),
    (RepMLPResNet, TINY_RESNET_CFG, (16, 32, 64)),
]
WIDTH = 4


class Detector(BaseModel):
    """A pyramid of feature maps, and a score at each of their positions."""

    def __init__(self, backbone, channels):
        super().__init__()
        self.backbone = ROOT_MODELS.children['detectors'].build(backbone)
        self.lateral = nn.ModuleList(nn.Conv2d(c, WIDTH, 1) for c in channels)
        self.score = nn.Conv2d(WIDTH, 1, 3, padding=1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        maps = [
            layer(x) for layer, x in zip(self.lateral, self.backbone(inputs))
        ]
        for i in reversed(range(len(maps) - 1)):
            maps[i] = maps[i] + nn.functional.interpolate(
                maps[i + 1], maps[i].shape[-2:])
        scores = [self.score(x) for x in maps]
        if mode == 'loss':
            return dict(loss=sum(x.square().mean() for x in scores))
        return scores


@pytest.fixture(autouse=True)
def _detectors():
    """A registry of a scope of its own, as every project has."""
    registry = Registry('model', parent=ROOT_MODELS, scope='detectors')
    registry.register_module(module=Detector)
    with DefaultScope.overwrite_default_scope('detectors'):
        yield
    del ROOT_MODELS.children['detectors']


def build(net, scope=NAME, **options):
    kind, cfg, channels = net
    torch.manual_seed(0)
    backbone = dict(
        cfg,
        type=f'{scope}.{kind.__name__}',
        out_indices=tuple(range(len(channels))),
        **options)
    model = ROOT_MODELS.children['detectors'].build(
        dict(type='Detector', backbone=backbone, channels=channels))
    model.init_weights()  # or the runner would, after what is done here
    return randomize(model)


def train(model, work_dir):
    numbers = torch.Generator().manual_seed(0)
    images = torch.randn(6, 3, *model.backbone.img_size, generator=numbers)
    Runner(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            collate_fn=dict(type='default_collate'),
            dataset=[dict(inputs=image) for image in images],
            sampler=dict(type='DefaultSampler', shuffle=False)),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-2)),
        default_scope='detectors',
        experiment_name=work_dir.name).train()


@pytest.mark.parametrize('scope', SCOPES)
@pytest.mark.parametrize('net', NETS, ids=lambda net: net[0].__name__)
def test_trains_in_the_scope_of_another_project(net, scope, tmp_path):
    model = build(net, scope, frozen_stages=0, norm_eval=True, with_cp=True)
    backbone = model.backbone
    assert type(backbone) is net[0]
    before = copy.deepcopy(model.state_dict())
    train(model, tmp_path)

    moved = {
        name
        for name, value in model.state_dict().items()
        if not torch.equal(value, before[name])
    }
    frozen = tuple(f'backbone.{part}.'
                   for part, stage in backbone.stage_of_module.items()
                   if stage <= 0)
    assert not [name for name in moved if name.startswith(frozen)]
    assert not [name for name in moved if name.endswith('running_mean')]
    # All that is neither frozen nor a statistic has learnt.
    learning = {
        name.split('.')[0]
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and name in moved
    }
    assert learning == {'backbone', 'lateral', 'score'}
