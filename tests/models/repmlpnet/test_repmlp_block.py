import pytest
import torch

from mmcls_repmlp import RepMLPBlock, reparameterize
from mmcls_repmlp.models import RepMLPNetUnit
from tests.helpers import assert_refused, assert_same, randn, random_model
from tests.host_parts import HostRepMLPBlock

C = 8
KERNELS = [None, (1, ), (3, ), (1, 3), (1, 3, 5)]
SIZES = [(4, 4), (3, 5), (1, 1)]


def block(size=(4, 4), sharesets=4, kernels=(1, 3), kind=RepMLPBlock):
    return random_model(
        kind,
        channels=C,
        path_h=size[0],
        path_w=size[1],
        num_sharesets=sharesets,
        reparam_conv_kernels=kernels)


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('sharesets', [1, 2, C])
@pytest.mark.parametrize('kernels', KERNELS)
def test_merged_equals_unmerged(size, sharesets, kernels):
    trained = block(size, sharesets, kernels)
    merged = reparameterize(trained)
    assert merged.deploy and not trained.deploy
    for h, w in ((1, 1), (2, 3)):
        x = randn(2, C, h * size[0], w * size[1])
        assert_same(merged(x), trained(x))


@pytest.mark.parametrize('size', SIZES[:2])
@pytest.mark.parametrize('kernels', KERNELS[1:])
@pytest.mark.parametrize('training', [True, False])
def test_equals_mmcls_with_gradients(size, kernels, training):
    ours = block(size, 4, kernels)
    theirs = block(size, 4, kernels, HostRepMLPBlock)
    theirs.load_state_dict(ours.state_dict())
    results = []
    for model in (ours, theirs):
        model.train(training)
        x = randn(3, C, *size).requires_grad_()
        out = model(x)
        out.backward(randn(3, C, *size, seed=1))
        results.append([
            out, x.grad, *(p.grad for p in model.parameters()),
            *(b.double() for b in model.buffers())
        ])
    assert_same(*results)


def test_every_partition_is_treated_as_if_alone_but_for_the_gate():
    trained, x = block((2, 2)), randn(2, C, 4, 6)
    gate = trained.gp(x)
    alone = x[..., 2:4, 4:6]
    assert_same(
        trained(x)[..., 2:4, 4:6] / gate,
        trained(alone) / trained.gp(alone))


def test_sharesets_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(ValueError, match='3 sharesets do not divide 8'):
        block(sharesets=3)


def test_what_does_not_fit_is_refused_and_nothing_is_loaded():
    message = 'another image size.*of 4x4, the model has 2x2'
    assert_refused(block((2, 2)), block().state_dict(), message)


def test_drop_path_drops_whole_samples_in_training_only():
    torch.manual_seed(0)
    unit = RepMLPNetUnit(C, path_h=2, path_w=2, drop_path_rate=0.9).double()
    x = randn(64, C, 2, 2)
    unchanged = (unit.train()(x) == x).flatten(1).all(1)
    assert 0 < unchanged.sum() < 64
    assert not (unit.eval()(x) == x).flatten(1).all(1).any()
