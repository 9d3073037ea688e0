import pytest
import torch
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn

from mmcls_repmlp.models import RepMLPCifarNet, RepMLPNet, RepMLPResNet
from tests.helpers import (TINY_CFG, TINY_CIFAR_CFG, TINY_RESNET_CFG, randn,
                           random_model)


def wrapper(model):
    return OPTIM_WRAPPERS.build(
        dict(
            type='CpuAmpOptimWrapper',
            optimizer=torch.optim.SGD(model.parameters(), 0.5)))


def test_a_step_is_that_of_a_product_in_bfloat16():
    torch.manual_seed(0)
    model = nn.Linear(64, 1, bias=False)
    x, before = torch.randn(8, 64), model.weight.detach().clone()
    wrapped = wrapper(model)
    with wrapped.optim_context(model):
        out = model(x)
    assert out.dtype == torch.bfloat16
    wrapped.update_params(out.sum())
    ones = torch.ones(1, 8, dtype=torch.bfloat16)
    expected = before - 0.5 * (ones @ x.bfloat16()).float()
    assert model.weight.dtype == torch.float32
    torch.testing.assert_close(model.weight.detach(), expected)
    # In float32 the step would be another.
    exact = before - 0.5 * x.sum(0)
    assert not torch.allclose(expected, exact, rtol=1e-4, atol=1e-4)
    assert not torch.is_autocast_enabled('cpu')


@pytest.mark.parametrize(('kind', 'cfg'), [(RepMLPNet, TINY_CFG),
                                           (RepMLPResNet, TINY_RESNET_CFG),
                                           (RepMLPCifarNet, TINY_CIFAR_CFG)])
def test_every_backbone_learns_in_it(kind, cfg):
    model = random_model(kind, **cfg).float().train()
    x = randn(4, 3, *model.img_size).float()
    wrapped = wrapper(model)
    with wrapped.optim_context(model):
        loss = model(x)[-1].float().square().mean()
    loss.backward()
    learnt = [p for p in model.parameters() if p.grad is not None]
    assert all(p.grad.isfinite().all() and p.grad.dtype == torch.float32
               for p in learnt)
    assert sum(bool(p.grad.any()) for p in learnt) > len(learnt) / 2
