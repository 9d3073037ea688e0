import copy

import pytest
import torch
from torch import nn

from mmcls_repmlp.errors import CheckpointError
from mmcls_repmlp.models.backbone import MergeableBackbone
from mmcls_repmlp.models.repmlp.conv_bn import ConvBN
from mmcls_repmlp.models.stage import Stage
from tests.helpers import assert_same, randn, random_model


class Two(MergeableBackbone):
    """Two stages of one convolution, the first of them frozen on request."""

    def __init__(self, frozen=False, **cfg):
        super().__init__(**cfg)
        self.frozen = frozen
        self.first, self.second = (
            Stage(ConvBN(c, 4), with_cp=self.with_cp) for c in (3, 4))
        self.freeze()

    def frozen_modules(self):
        return [self.first] if self.frozen else []

    def forward(self, x):
        return self.second(self.first(x)),

    def _load_from_state_dict(self, state_dict, prefix, *args):
        self.check_stages(
            dict(first=self.first, second=self.second), state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)


def net(**cfg):
    return random_model(Two, **cfg)


def test_all_parts_are_merged_or_none():
    model, x = net(), randn(2, 3, 4, 4)
    broken = copy.deepcopy(model)
    broken.second[0].bn = nn.GroupNorm(1, 4)
    with pytest.raises(ValueError, match='^second.0: .*GroupNorm'):
        broken.switch_to_deploy()
    assert not broken.first[0].deploy and not model.deploy
    expected = model(x)
    for _ in range(2):
        model.switch_to_deploy()
        assert model.deploy and len(model.mergeable_parts()) == 2
        assert_same(model(x), expected)


def test_frozen_parts_stay_in_eval_mode_without_gradients():
    model = net(frozen=True)
    assert model.train() is model
    assert not model.first.training and model.second.training
    assert {n
            for n, p in model.named_parameters() if p.requires_grad} == {
                'second.0.conv.weight', 'second.0.bn.weight',
                'second.0.bn.bias'
            }


def test_norm_eval():
    model = net(norm_eval=True).train()
    assert model.first.training and not model.first[0].bn.training


def test_checkpointing_changes_no_result():
    results = []
    for with_cp in (False, True):
        model = net(with_cp=with_cp).train()
        model(randn(2, 3, 4, 4))[0].square().sum().backward()
        results.append([
            *(p.grad for p in model.parameters()),
            *(b.double() for b in model.buffers())
        ])
    assert_same(*results, rtol=0)


def test_checkpointing_can_be_switched_later():
    model = net()
    model.with_cp = True
    assert model.with_cp and model.first.with_cp and model.second.with_cp
    model.with_cp = False
    assert not model.with_cp and not model.second.with_cp


def test_nothing_is_loaded_if_a_later_stage_does_not_fit():
    model = nn.ModuleDict(dict(backbone=net()))
    weights = {key: value + 1 for key, value in model.state_dict().items()}
    weights['backbone.second.0.conv.weight'] = torch.ones(1)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(CheckpointError, match=r"'backbone'.*second\.0\.conv"):
        model.load_state_dict(weights, strict=False)
    assert_same([*model.state_dict().values()], [*before.values()], 0)
