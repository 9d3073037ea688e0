from collections import Counter

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from mmcls_repmlp.host import MODELS
from tests.helpers import TINY_CFG, classifier_cfg, randomize


def classifier(**backbone):
    init_default_scope('mmcls')
    torch.manual_seed(0)
    return MODELS.build(
        classifier_cfg(
            dict(type='RepMLPNet', **TINY_CFG, **backbone),
            50,
            init_cfg=dict(type='TorchInit')))


PLAIN = {
    nn.Conv2d: lambda m: nn.Conv2d(
        m.in_channels,
        m.out_channels,
        m.kernel_size,
        groups=m.groups,
        bias=m.bias is not None),
    nn.Linear: lambda m: nn.Linear(m.in_features, m.out_features),
    nn.BatchNorm2d: lambda m: nn.BatchNorm2d(m.num_features)
}


def test_weights_are_drawn_as_pytorch_draws_them_and_norms_are_neutral():
    model = randomize(classifier())
    torch.manual_seed(1)
    model.init_weights()
    torch.manual_seed(1)
    found = Counter()
    for module in model.modules():
        for kind in PLAIN:
            if isinstance(module, kind):
                found[kind] += 1
                for name, value in PLAIN[kind](module).state_dict().items():
                    assert torch.equal(module.state_dict()[name], value)
    assert found[nn.BatchNorm2d] > 20 and found.total() > 50


def save_random(module, path):
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    torch.save(module.state_dict(), path)
    return dict(type='Pretrained', checkpoint=str(path))


def assert_loaded(module, path):
    for name, value in torch.load(path).items():
        assert torch.equal(module.state_dict()[name], value), name


def test_pretrained_parts_of_a_part_go_before_it(tmp_path):
    model = classifier()
    part = model.backbone.patch_embed
    part.init_cfg = save_random(part, tmp_path / 'a.pth')
    model.init_weights()
    assert_loaded(part, tmp_path / 'a.pth')
    assert model.backbone.final_norm.weight.mean() == 1


@pytest.mark.parametrize('several', [False, True])
def test_pretrained_weights_go_before_it(tmp_path, several):
    init_cfg = save_random(classifier().backbone, tmp_path / 'a.pth')
    model = classifier(init_cfg=[init_cfg] if several else init_cfg)
    model.init_weights()
    assert_loaded(model.backbone, tmp_path / 'a.pth')
    bound = 32**-0.5  # of the head, which PyTorch draws evenly
    assert 0.9 * bound < model.head.fc.weight.abs().max() <= bound
