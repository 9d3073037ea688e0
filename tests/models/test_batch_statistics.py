"""The merged form in training equals layers and norms one by one."""
import copy

import pytest
import torch
from torch import nn

from mmcls_repmlp import RepMLPBlock, RepMLPNet, inject_locality
from mmcls_repmlp.models import batch_statistics, local_layers
from mmcls_repmlp.models.repmlpnet import repmlp_block
from mmcls_repmlp.models.repmlpnet.repmlp_block import ConvFFN
from tests.helpers import assert_same, randn, random_model, randomize

H, W = 3, 4
BLOCK = dict(path_h=H, path_w=W, reparam_conv_kernels=(1, 3, 5))


def block(sharesets):
    return random_model(
        RepMLPBlock, channels=8, num_sharesets=sharesets,
        **BLOCK), (32, 8, H, W)


def ffn():
    return randomize(ConvFFN(6, 24).double()), (16, 6, H, W)


def layer(bias):
    linear = nn.Linear(H * W, H * W, bias=bias).double()
    model = inject_locality(linear, (1, 3), {'': (H, W)}, 'random')
    return randomize(model), (32, 8, H * W)


MODULES = dict(
    one=lambda: block(1),
    several=lambda: block(4),
    ffn=ffn,
    injected=lambda: layer(True),
    no_bias=lambda: layer(False))


@pytest.fixture
def folds(monkeypatch):
    """Count folded norms, and take small hidden maps for large."""
    count, fold = [], batch_statistics.fold_batch_norm

    def counted(*args):
        count.append(1)
        return fold(*args)

    for module in (batch_statistics, repmlp_block):
        monkeypatch.setattr(module, 'fold_batch_norm', counted)
    monkeypatch.setattr(repmlp_block, 'is_large_hidden', lambda *_: True)
    return count


def never(monkeypatch):
    for module in (repmlp_block, local_layers):
        monkeypatch.setattr(module, 'is_cheap_to_measure', lambda x: False)


def train(model, shape, steps=2):
    """Outputs, gradients and norms of two passes over other images."""
    results = []
    for step in range(steps):
        x = (randn(*shape, seed=step) * 2 + 1).requires_grad_()
        model.zero_grad()
        out = model.train()(x)
        out.mul(randn(*out.shape, seed=9)).sum().backward()
        results += [out, x.grad, *(p.grad.clone() for p in model.parameters())]
    return [*results, *model.buffers()]


@pytest.mark.parametrize('name', MODULES)
def test_outputs_gradients_and_statistics(name, folds, monkeypatch):
    model, shape = MODULES[name]()
    plain = copy.deepcopy(model)
    found = train(model, shape)
    norms = len(
        [m for m in model.modules() if 'BatchNorm' in type(m).__name__])
    folded = 1 if name == 'ffn' else norms  # the FFN's second norm is not
    assert len(folds) == 2 * folded
    never(monkeypatch)
    expected = train(plain, shape)
    assert len(folds) == 2 * folded
    for one, other in zip(found, expected, strict=True):
        # Scales of a 1x1 kernel have no gradient but rounding.
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize('change', [
    lambda m: m.eval(), lambda m: m.fc3_bn.eval(),
    lambda m: m.repconv3.register_forward_hook(lambda *_: None),
    lambda m: setattr(m.repconv3.norm, 'momentum', None),
    lambda m: setattr(m, 'fc3_bn',
                      nn.SyncBatchNorm(4).double()),
    lambda m: m.repconv3.norm.register_parameter('bias', None)
])
def test_what_could_be_observed_runs_one_by_one(change, folds):
    model, shape = block(4)
    model.train()
    change(model)
    if isinstance(model.fc3_bn, nn.SyncBatchNorm):
        assert not model.can_fold_batch(randn(64, 4, H, W))
        return
    model(randn(*shape))
    assert not folds


def test_few_rows_run_one_by_one(folds):
    model, shape = block(1)
    model.train()(randn(2, *shape[1:]))
    assert not folds


def test_checkpointed_blocks_measure_once(folds):
    nets = []
    for with_cp in (False, True):
        torch.manual_seed(0)
        nets.append(
            random_model(
                RepMLPNet,
                arch=dict(
                    channels=(8, 16), depths=(1, 1), sharesets_nums=(1, 4)),
                img_size=16,
                patch_size=4,
                with_cp=with_cp).train())
    for net in nets:
        for out in net(randn(32, 3, 16, 16)):
            out.square().sum().backward()
    assert len(folds) > 6
    for one, other in zip(nets[0].buffers(), nets[1].buffers()):
        assert_same(one, other, 1e-12)
    for one, other in zip(nets[0].parameters(), nets[1].parameters()):
        assert_same(one.grad, other.grad, 1e-9)
