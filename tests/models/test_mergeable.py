import copy

import pytest
import torch
from torch import nn

from mmcls_repmlp.errors import CheckpointError
from mmcls_repmlp.models.batch_norm import fold_bn
from mmcls_repmlp.models.mergeable import Mergeable, merge_all
from tests.helpers import assert_same, randn, random_model


class Pair(Mergeable):
    """A linear layer with its norm, the smallest thing that merges."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(3, 4, bias=False))
        self.bn = nn.BatchNorm1d(4)
        self.inner.add_module('extra', nn.Identity())

    @property
    def training_only(self):
        return 'bn', 'inner.extra'

    def forward(self, x):
        x = self.inner(x)
        return x if self.deploy else self.bn(x)

    def folded(self):
        return {'inner.0': fold_bn(self.inner[0], self.bn, 'inner')}


def pair(seed=0):
    return random_model(Pair, seed)


def test_merged_equals_unmerged():
    trained, x = pair(), randn(5, 3)
    merged = copy.deepcopy(trained)
    assert not trained.deploy
    merged.switch_to_deploy()
    assert merged.deploy
    assert_same(merged(x), trained(x))
    assert [*merged.state_dict()] == ['inner.0.weight', 'inner.0.bias']
    assert [*dict(merged.named_modules())] == ['', 'inner', 'inner.0']
    merged.switch_to_deploy()
    assert_same(merged(x), trained(x))


@pytest.mark.parametrize('trainable', [True, False])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_dtype_and_what_is_trainable_are_kept(trainable, dtype):
    part = pair().to(dtype).requires_grad_(trainable).train()
    exact = [t.to(dtype) for t in part.folded()['inner.0']]
    part.switch_to_deploy()
    layer = part.inner[0]
    assert_same([layer.weight.data, layer.bias.data], exact, 0)
    assert {p.requires_grad for p in part.parameters()} == {trainable}
    assert layer.training


def test_all_parts_are_merged_or_none():
    parts = nn.ModuleList([pair(0), pair(1)])
    parts[1].bn = nn.GroupNorm(1, 4).double()
    with pytest.raises(ValueError, match='^1: inner is normalised by Group'):
        merge_all(parts)
    assert not any(part.deploy for part in parts)
    assert parts[0].inner[0].bias is None
    merge_all(parts[:1])
    merge_all(parts[:1])
    assert parts[0].deploy


def test_the_other_form_is_refused():
    merged = pair()
    merged.switch_to_deploy()
    with pytest.raises(CheckpointError, match='does not fit'):
        merged.load_state_dict(pair().state_dict(), strict=False)
