import copy

import pytest
import torch
from torch import nn

from mmcls_repmlp import RepMLP, reparameterize
from repmlp_lite.errors import InputError
from tests.helpers import DATA, assert_same, randn, random_model

KERNELS = [None, (3, ), (1, 3, 5)]


def block(**cfg):
    defaults = dict(
        in_channels=4,
        out_channels=8,
        input_size=(6, 4),
        partition_size=(3, 2),
        reparam_conv_kernels=(1, 3),
        num_groups=2)
    return random_model(RepMLP, **{**defaults, **cfg})


def reference(model, x):
    """The block by plain loops over partitions, each alone."""
    (h, w), size = model.partition_size, x.shape[2:]
    places = [(..., slice(r, r + h), slice(c, c + w))
              for r in range(0, size[0], h) for c in range(0, size[1], w)]
    pooled = torch.stack([x[place].mean((2, 3)) for place in places],
                         dim=2)  # (N, C, P)
    shifts = torch.zeros_like(pooled)
    if model.has_global_perceptron:
        normed = model.avg.bn(pooled[..., None])
        fc = model.fc1_fc2
        shifts = fc.fc2(fc.fc1(normed.flatten(1)).relu()).view_as(pooled)
    out = torch.empty(len(x), model.out_channels, *size, dtype=x.dtype)
    for p, place in enumerate(places):
        part = x[place] + shifts[:, :, p, None, None]
        flat = model.fc3_bn(
            nn.Conv2d.forward(model.fc3, part.reshape(len(x), -1, 1, 1)))
        out[place] = flat.view(len(x), -1, h, w) + sum(
            branch(part) for branch in model.local_branches)
    return out


@pytest.mark.parametrize('deploy', [False, True])
def test_equals_the_official_code(deploy):
    oracle = torch.load(DATA / 'repmlp_v1_block.pt', weights_only=True)
    cfg = oracle['config']
    model = RepMLP(cfg['in_channels'], cfg['out_channels'],
                   [cfg['H'], cfg['W']], [cfg['h'], cfg['w']],
                   cfg['reparam_conv_k'], cfg['fc1_fc2_reduction'],
                   cfg['fc3_groups'])
    # Optimizer states in checkpoints go by position.
    assert [*model.state_dict()] == [*oracle['state_dict']]
    model.load_state_dict(oracle['state_dict'])
    model.double().eval()
    if deploy:
        model.switch_to_deploy()
        assert [*model.state_dict()] == [
            f'{layer}.{kind}'
            for layer in ('fc1_fc2.fc1', 'fc1_fc2.fc2', 'fc3')
            for kind in ('weight', 'bias')
        ]
    assert_same(model(oracle['input'].double()), oracle['output'])


@pytest.mark.parametrize('sizes', [((6, 4), (3, 2)), ((4, 4), (4, 4)),
                                   ((3, 6), (1, 6))])
@pytest.mark.parametrize('groups', [1, 2, 4])
@pytest.mark.parametrize('kernels', KERNELS)
def test_merged_equals_unmerged_and_plain_loops(sizes, groups, kernels):
    trained = block(
        input_size=sizes[0],
        partition_size=sizes[1],
        num_groups=groups,
        reparam_conv_kernels=kernels)
    merged, x = reparameterize(trained), randn(2, 4, *sizes[0])
    expected = reference(trained, x)
    assert_same(trained(x), expected)
    assert_same(merged(x), expected)
    with torch.no_grad():  # other formulations are chosen then
        assert_same(merged(x), expected)


@pytest.mark.parametrize('training', [True, False])
def test_gradients_are_those_of_plain_loops(training):
    # In training the norms see all partitions at once, so here only one.
    model = block(input_size=(3, 2)).train(training)
    results = []
    for run in (model, lambda x: reference(model, x)):
        x = randn(4, 4, 3, 2).requires_grad_()
        model.zero_grad()
        out = run(x)
        out.backward(randn(4, 8, 3, 2, seed=1))
        results.append([out, x.grad, *(p.grad for p in model.parameters())])
    assert_same(*results)


def test_one_partition_needs_no_global_perceptron():
    model = block(input_size=(3, 2))
    assert not model.has_global_perceptron
    assert not [name for name in model.state_dict() if 'fc1' in name]


@pytest.mark.parametrize('kernels', KERNELS)
@pytest.mark.parametrize('size', [(5, 4), (7, 5), (2, 1)])
def test_other_sizes_are_padded_below_and_on_the_right(size, kernels):
    model = block(input_size=size, reparam_conv_kernels=kernels)
    x = randn(2, 4, *size)
    padded = nn.functional.pad(x, (0, size[1] % 2, 0, -size[0] % 3))
    expected = reference(model, padded)[..., :size[0], :size[1]]
    assert_same(model(x), expected)
    assert_same(reparameterize(model)(x), expected)


@pytest.mark.parametrize('shape', [(4, 6, 6), (4, 5, 4), (8, 6, 4)])
@pytest.mark.parametrize('deploy', [False, True])
def test_other_maps_are_refused(shape, deploy):
    got = 'x'.join(map(str, shape))
    message = f'for maps of 4x6x4 got {got}: build it with the input_size'
    with pytest.raises(InputError, match=message):
        block(deploy=deploy)(randn(2, *shape))


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [(dict(num_groups=3), 'num_groups must divide 4 and 8 channels, got 3'),
     (dict(input_size=0), 'input_size'),
     (dict(globalperceptron_ratio=0), 'globalperceptron_ratio'),
     (dict(conv_cfg=dict(type='ConvWS')), 'ConvWS')])
def test_wrong_arguments_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        block(**wrong)


@pytest.mark.parametrize('name', ['fc3_bn', 'repconv3.bn', 'avg.bn'])
def test_a_merge_that_ignores_a_norm_would_be_seen(name):
    trained, x = block(), randn(2, 4, 6, 4)
    spoiled = copy.deepcopy(trained)
    spoiled.get_submodule(name).running_mean.zero_()
    with pytest.raises(AssertionError):
        assert_same(reparameterize(spoiled)(x), trained(x), 1e-3)
