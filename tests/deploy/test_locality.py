import pytest
import torch

from mmcls_repmlp import RepMLPBlock, RepMLPNet
from mmcls_repmlp.deploy.locality import locality, repmlp_blocks
from tests.helpers import TINY_CFG, assert_same, random_model

H, W, S = 5, 4, 2
BLOCK = dict(channels=4, path_h=H, path_w=W, num_sharesets=S)
EVERYWHERE = [(y, x) for y in range(H) for x in range(W)]


def block(kernels=(1, 3), **cfg):
    return random_model(
        RepMLPBlock, reparam_conv_kernels=kernels, **{
            **BLOCK,
            **cfg
        })


def scale(norm, shareset):
    """What a batch norm multiplies by, from its definition."""
    return (norm.weight[shareset] /
            (norm.running_var[shareset] + norm.eps).sqrt())


def by_loops(model, position, shareset):
    """The maps before and after, entry by entry."""
    fc3 = model.fc3.weight.view(S, H, W, H, W)[shareset]
    before = torch.zeros(H, W, dtype=torch.double)
    after = torch.zeros(H, W, dtype=torch.double)
    for y in range(H):
        for x in range(W):
            before[y,
                   x] = fc3[(*position, y, x)] * scale(model.fc3_bn, shareset)
            after[y, x] = before[y, x]
            for k, branch in zip(model.reparam_conv_kernels,
                                 model.local_branches):
                row = y - position[0] + k // 2
                column = x - position[1] + k // 2
                if 0 <= row < k and 0 <= column < k:
                    after[y,
                          x] += branch.conv.weight[shareset, 0, row,
                                                   column] * scale(
                                                       branch.norm, shareset)
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
        assert found.before.dtype == torch.double
        assert_same(found.before, before)
        assert_same(found.after, after)
        # All that changes lies in the window, and all of that does change.
        changed = torch.zeros(H, W, dtype=torch.bool)
        changed[found.window] = True
        assert (found.after != found.before).equal(changed)


def test_after_is_what_the_deploy_form_computes_with():
    model = block()
    found = locality(model, (1, 2), 1)
    assert not model.deploy
    model.switch_to_deploy()
    row = model.fc3.weight.view(S, H, W, H, W)[1, 1, 2]
    assert_same(found.after, row)


def test_float32_is_read_in_float64():
    found = locality(block().float())
    assert found.before.dtype == found.after.dtype == torch.double


def test_windows_are_cut_at_the_edges():
    model = block((3, ))
    assert locality(model, (0, 0)).window == (slice(0, 2), slice(0, 2))
    assert locality(model, (2, 2)).window == (slice(1, 4), slice(1, 4))
    assert locality(model, (4, 3)).window == (slice(3, 5), slice(2, 4))
    assert locality(block((9, ))).window == (slice(0, 5), slice(0, 4))


def test_the_centre_of_the_first_shareset_is_the_default():
    found = locality(block())
    assert (found.position, found.shareset) == ((2, 2), 0)
    assert found.kernel_size == 3


def test_blocks_are_found_in_order():
    model = RepMLPNet(reparam_conv_kernels=(1, 3), **TINY_CFG)
    assert list(repmlp_blocks(model)) == [
        f'stages.{name}.repmlp_block' for name in ('0.0', '1.0', '1.1', '2.0')
    ]


@pytest.mark.parametrize(
    ('cfg', 'arguments', 'message'),
    [(dict(deploy=True), {}, 'cannot be told apart'),
     (dict(kernels=None), {}, 'no convolutions'),
     ({}, dict(position=(5, 0)), 'no position 5 0: choose from 0 0 to 4 3'),
     ({}, dict(position=(0, -1)), 'no position 0 -1'),
     ({}, dict(shareset=2), 'no shareset 2: choose from 0 to 1'),
     (dict(norm_cfg=dict(type='IN')), {}, 'fc3')])
def test_what_cannot_be_read(cfg, arguments, message):
    with pytest.raises(ValueError, match=message):
        locality(block(**cfg), **arguments)
