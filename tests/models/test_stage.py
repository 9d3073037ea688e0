import copy

import pytest
import torch
from torch import nn

from mmcls_repmlp.models.stage import Stage, checkpointed
from tests.helpers import assert_same, randn


def test_checkpointing_changes_neither_gradients_nor_statistics():
    module, results = nn.Sequential(
        nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 2, 1)).double(), []
    for call in (lambda m, x: m(x), checkpointed):
        copied, x = copy.deepcopy(module), randn(3, 2, 4, 4).requires_grad_()
        call(copied, x).square().sum().backward()
        results.append([
            x.grad, *(p.grad for p in copied.parameters()),
            *(b.double() for b in copied.buffers())
        ])
    assert_same(*results, rtol=0)
    assert int(results[0][-1]) == 1  # num_batches_tracked


def test_checkpointing_keeps_no_activations():
    module = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 4))

    def saved(call):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
                lambda t: sizes.append(t.numel()) or t, lambda t: t):
            call(module, torch.ones(8, 4, requires_grad=True))
        return sum(sizes)

    assert saved(checkpointed) < saved(lambda m, x: m(x)) / 4


def test_a_stage_is_called_and_runs_its_blocks_in_order():
    stage = Stage(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).double()
    calls = []
    for module in stage.modules():
        module.register_forward_hook(lambda m, *_: calls.append(type(m)))
    x = randn(4, 2)
    assert_same(stage(x), stage[2](stage[0](x).relu()), 0)
    assert calls[:4] == [nn.Linear, nn.ReLU, nn.Linear, Stage]
    assert isinstance(stage, nn.Sequential) and [*stage.state_dict()] == [
        '0.weight', '0.bias', '2.weight', '2.bias'
    ]


@pytest.mark.parametrize(('cfg', 'training', 'with_gradients', 'passes'), [
    (dict(with_cp=True), True, True, 2),
    (dict(with_cp=True), True, False, 1),
    (dict(with_cp=True), False, True, 1),
    ({}, True, True, 1),
])
def test_a_stage_checkpoints_in_training_with_gradients_only(
        cfg, training, with_gradients, passes):
    stage, calls = Stage(nn.Linear(2, 2), **cfg), []
    stage.train(training)[0].register_forward_pre_hook(
        lambda *call: calls.append(call))
    with torch.set_grad_enabled(with_gradients):
        out = stage(torch.ones(3, 2))
    if with_gradients:
        out.sum().backward()
    assert len(calls) == passes


def test_checkpointing_gives_way_to_transforms():
    stage = Stage(nn.Linear(2, 2), with_cp=True).double()
    jacobian = torch.func.jacrev(stage)(randn(2))
    assert_same(jacobian, stage[0].weight.detach())


def test_checkpointing_gives_way_to_compilers():
    stage, x = Stage(nn.Linear(2, 2), with_cp=True).double(), randn(3, 2)
    compiled = torch.compile(stage, backend='eager', fullgraph=True)
    compiled(x).sum().backward()
    gradient = stage[0].weight.grad.clone()
    stage.zero_grad()
    stage(x).sum().backward()
    assert_same(gradient, stage[0].weight.grad)
