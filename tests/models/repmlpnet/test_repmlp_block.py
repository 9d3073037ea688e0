import pytest
import torch
from torch import nn

from mmcls_repmlp import RepMLPBlock, reparameterize
from mmcls_repmlp.models.repmlpnet.repmlp_block import ConvFFN
from tests.helpers import assert_same, randn, random_model, randomize
from tests.host_parts import HostRepMLPBlock

C = 8
KERNELS = [None, (3, ), (1, 3), (1, 3, 5)]
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


@pytest.mark.parametrize(('dtype', 'rtol'), [(torch.float64, 1e-12),
                                             (torch.float32, 2e-5),
                                             (torch.bfloat16, 5e-2)])
@pytest.mark.parametrize('size', [(1, 1), (3, 5)])
def test_folded_for_inference_the_ffn_gives_the_same(dtype, rtol, size):
    ffn = randomize(ConvFFN(4, 16)).double().eval()
    x = randn(2, 4, *size)
    expected = ffn(x)
    ffn.to(dtype)
    with torch.no_grad():
        assert_same(ffn(x.to(dtype)).double(), expected, rtol)


def test_norms_are_folded_only_where_that_is_faster_and_right():
    x = randn(2, 4, 2, 2)

    def folds(x=x, change=lambda ffn: None, **cfg):
        ffn = ConvFFN(4, 16, **cfg).double().eval()
        change(ffn)
        return ffn.should_fold_norms(x)

    assert not folds()
    with torch.no_grad():
        assert folds()
        assert not folds(x[:1, ..., :1])
        assert not folds(norm_cfg=dict(type='GN', num_groups=2))
        assert not folds(conv_cfg=dict(type='ConvWS'))
        for change in (lambda ffn: ffn.train(),
                       lambda ffn: ffn.ffn_fc1.bn.train(),
                       lambda ffn: setattr(ffn, 'act', nn.ReLU()),
                       lambda ffn: setattr(ffn, 'act', nn.GELU('tanh')),
                       lambda ffn: setattr(ffn.ffn_fc1, 'conv',
                                           nn.Conv2d(4, 16, 1, groups=2))):
            assert not folds(change=change)
