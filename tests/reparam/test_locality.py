from itertools import product

import pytest
import torch

from mmcls_repmlp import RepMLPBlock, inject_locality
from mmcls_repmlp.reparam.locality import locality
from tests.helpers import assert_same, random_model, randomize

H, W, S = 5, 4, 2
EVERYWHERE = [*product(range(H), range(W))]


def block(kernels=(1, 3), **cfg):
    sizes = dict(channels=4, path_h=H, path_w=W, num_sharesets=S)
    return random_model(
        RepMLPBlock, reparam_conv_kernels=kernels, **sizes, **cfg)


def scale(norm, shareset):
    """What a batch norm multiplies by, from its definition."""
    return (norm.weight[shareset] /
            (norm.running_var[shareset] + norm.eps).sqrt())


def by_loops(model, position, shareset):
    """The maps before and after, the latter entry by entry."""
    fc3 = model.fc3.weight.view(S, H, W, H, W)[(shareset, *position)]
    before = fc3 * scale(model.fc3_bn, shareset)
    after = before.clone()
    for (y, x), branch in product(EVERYWHERE, model.local_branches):
        kernel = branch.conv.weight[shareset, 0]
        k = len(kernel)
        row, column = y - position[0] + k // 2, x - position[1] + k // 2
        if 0 <= row < k and 0 <= column < k:
            after[y, x] += kernel[row, column] * scale(branch.norm, shareset)
    return before, after


@pytest.mark.parametrize('kernels', [(3, ), (1, 3), (1, 3, 5), (7, )])
@pytest.mark.parametrize('shareset', range(S))
@torch.no_grad()
def test_after_is_before_with_the_kernels_placed_on_the_output(
        kernels, shareset):
    model = block(kernels)
    for position in EVERYWHERE:
        found = locality(model, position, shareset)
        before, after = by_loops(model, position, shareset)
        assert_same(found.before, before)
        assert_same(found.after, after)
        # All that changes lies in the window, and all of that does change.
        changed = torch.zeros(H, W, dtype=torch.bool)
        changed[found.window] = True
        assert (found.after != found.before).equal(changed)


def test_the_centre_of_the_first_shareset_in_float64_is_the_default():
    found = locality(block().float())
    assert found.before.dtype == found.after.dtype == torch.double
    assert (found.position, found.shareset) == ((2, 2), 0)
    assert found.kernel_size == 3


@pytest.mark.parametrize(
    ('cfg', 'arguments', 'message'),
    [(dict(deploy=True), {}, 'cannot be told apart'),
     (dict(kernels=None), {}, 'no convolutions'),
     ({}, dict(position=(5, 0)), 'no position 5 0: choose from 0 0 to 4 3'),
     ({}, dict(position=(0, -1)), 'no position 0 -1'),
     ({}, dict(shareset=2), 'no shareset 2: choose from 0 to 1'),
     (dict(norm_cfg=dict(type='IN')), {}, 'fc3')])
def test_unreadable_blocks_and_outputs_are_named(cfg, arguments, message):
    with pytest.raises(ValueError, match=message):
        locality(block(**cfg), **arguments)


@torch.no_grad()
def test_injected_layers_have_it_too():
    layer = torch.nn.Conv1d(S * H * W, S * H * W, 1, groups=S).double()
    model = randomize(inject_locality(layer, (3, ), {'': (H, W)}, 'random'))
    found = locality(model.eval(), (1, 2), 1)
    before = model.weight.view(S, H, W, H, W)[1, 1, 2]
    kernel = model.repconv3.conv.weight[1, 0] * scale(model.repconv3.norm, 1)
    after = before.clone()
    after[0:3, 1:4] += kernel
    assert_same(found.before, before)
    assert_same(found.after, after)
