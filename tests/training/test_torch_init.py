import copy

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmcls_repmlp.host import MODELS
from tests.helpers import TINY_CFG, classifier_cfg


def classifier(**backbone):
    init_default_scope('mmcls')
    torch.manual_seed(0)
    return MODELS.build(
        classifier_cfg(
            dict(type='RepMLPNet', **TINY_CFG, **backbone),
            50,
            init_cfg=dict(type='TorchInit')))


def plain(module):
    """The PyTorch layer that a layer is a kind of, freshly built."""
    if isinstance(module, nn.Conv2d):
        return nn.Conv2d(
            module.in_channels,
            module.out_channels,
            module.kernel_size,
            groups=module.groups,
            bias=module.bias is not None)
    if isinstance(module, nn.Linear):
        return nn.Linear(module.in_features, module.out_features)
    return None


def test_weights_are_drawn_as_pytorch_draws_them():
    model = classifier()
    torch.manual_seed(1)
    model.init_weights()
    torch.manual_seed(1)
    layers = 0
    for module in model.modules():
        fresh = plain(module)
        if fresh is None:
            continue
        layers += 1
        for name, value in fresh.state_dict().items():
            torch.testing.assert_close(
                module.state_dict()[name], value, rtol=0, atol=0)
    assert layers > 30


def test_norms_start_neutral():
    model = classifier()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.normal_(norm.weight)
        norm.running_mean.normal_()
    model.init_weights()
    assert len(norms) > 20
    for norm in norms:
        assert (norm.weight == 1).all() and (norm.bias == 0).all()
        assert (norm.running_mean == 0).all() and (norm.running_var == 1).all()


def test_without_it_mmcls_draws_otherwise():
    model = classifier()
    head = copy.deepcopy(model.head.fc.weight)
    model.init_cfg = None
    model.init_weights()
    assert model.head.fc.weight.std() < head.std() / 5


def test_pretrained_parts_of_a_part_go_before_it(tmp_path):
    model = classifier()
    part = model.backbone.patch_embed
    weights = {
        key: torch.full_like(value, 7)
        for key, value in part.state_dict().items()
    }
    torch.save(weights, tmp_path / 'a.pth')
    part.init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'a.pth'))
    model.init_weights()
    assert (part.projection.weight == 7).all()
    assert model.backbone.final_norm.weight.mean() == 1


@pytest.mark.parametrize('several', [False, True])
def test_pretrained_weights_go_before_it(tmp_path, several):
    source = classifier().backbone
    for parameter in source.parameters():
        nn.init.normal_(parameter)
    path = str(tmp_path / 'backbone.pth')
    torch.save(source.state_dict(), path)
    init_cfg = dict(type='Pretrained', checkpoint=path)
    model = classifier(init_cfg=[init_cfg] if several else init_cfg)
    model.init_weights()
    for name, value in source.state_dict().items():
        assert (model.backbone.state_dict()[name] == value).all(), name
    bound = 32**-0.5  # of the head, which PyTorch draws evenly
    assert 0.9 * bound < model.head.fc.weight.abs().max() <= bound
