import copy

import pytest
import torch
import torch.distributed as dist
from mmengine.model import MMDistributedDataParallel
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.utils import prune

from mmcls_repmlp import RepMLPNet, fuse_for_inference, reparameterize
from mmcls_repmlp.host import build_backbone, build_classifier
from mmcls_repmlp.models.mergeable import check_mergeable
from mmcls_repmlp.reparam import largest_difference
from tests.helpers import (TINY_CFG, assert_same, classifier_cfg, randn,
                           random_model)

X = randn(2, 3, 32, 32)
SIZES = dict(num_blocks=[1] * 4, width_factor=[0.25] * 4)
HOST_CFGS = [
    dict(type='RepVGG', arch=dict(SIZES, group_layer_map=None, se_cfg=None)),
    dict(
        type='MobileOne',
        arch=dict(SIZES, num_conv_branches=[2] * 4, num_se_blocks=[0] * 4))
]


def classifier():
    return random_model(lambda: build_classifier(classifier_cfg()))


@pytest.fixture
def model():
    return classifier()


@pytest.mark.parametrize('inplace', [True, False])
def test_returns_a_copy_unless_inplace(model, inplace):
    expected = model(X)
    merged = reparameterize(model, inplace=inplace)
    assert (merged is model) is inplace
    assert model.backbone.deploy is inplace
    assert merged.backbone.deploy
    assert_same(merged(X), expected)


@pytest.mark.parametrize('cfg', HOST_CFGS)
def test_models_of_mmcls_are_merged(cfg):
    trained = random_model(lambda: build_backbone(cfg))
    merged = reparameterize(trained)
    assert merged.deploy and not trained.deploy
    assert_same(merged(X[:1]), trained(X[:1]), 1e-10)


@pytest.mark.parametrize('nothing',
                         [lambda _: nn.Linear(2, 2), reparameterize])
def test_warns_when_there_is_nothing_to_merge(model, nothing):
    target = nothing(model)
    with pytest.warns(UserWarning, match='nothing to merge'):
        merged = reparameterize(target)
    assert merged.state_dict().keys() == target.state_dict().keys()


class Distributed(MMDistributedDataParallel):
    """Without its processes."""

    def __init__(self, module):
        nn.Module.__init__(self)
        self.module = module


@pytest.mark.parametrize('wrap', [nn.DataParallel, Distributed])
def test_wrapped_models_are_refused_with_the_remedy(model, wrap):
    with pytest.raises(TypeError, match=r'the model inside, model\.module$'):
        reparameterize(wrap(model))
    inner = copy.deepcopy(model)
    inner.backbone = wrap(inner.backbone)
    with pytest.raises(TypeError, match=r'model\.backbone\.module$'):
        reparameterize(inner)
    assert not model.backbone.deploy


@pytest.fixture(scope='module')
def mesh(tmp_path_factory):
    store = tmp_path_factory.mktemp('store') / 'file'
    dist.init_process_group(
        'gloo', init_method=f'file://{store}', rank=0, world_size=1)
    yield init_device_mesh('cpu', (1, ))
    dist.destroy_process_group()


@pytest.mark.parametrize('name', ['', 'backbone.stages.0'])
@pytest.mark.parametrize('job', [
    reparameterize, fuse_for_inference, check_mergeable,
    lambda model: model.backbone.switch_to_deploy()
])
def test_sharded_models_are_refused_with_the_remedy(model, mesh, name, job):
    model = copy.deepcopy(model)
    fully_shard(model.get_submodule(name), mesh=mesh)
    with pytest.raises(TypeError, match='sharded.*get_model_state_dict'):
        job(model)


class Two(nn.Module):
    """A model of ours beside one of mmcls."""

    def __init__(self):
        super().__init__()
        self.ours = RepMLPNet(**TINY_CFG)
        self.theirs = build_backbone(HOST_CFGS[0])


@pytest.mark.parametrize('broken', ['ours', 'theirs'])
@pytest.mark.parametrize('inplace', [True, False])
def test_of_several_models_all_are_merged_or_none(broken, inplace):
    model = random_model(Two)
    twin = copy.deepcopy(model)
    if broken == 'ours':
        model.ours.stages[2][0].repmlp_block.fc3_bn = nn.GroupNorm(1, 32)
    else:
        model.theirs.stage_4[0].branch_1x1.conv.weight = None
    names = [*model.state_dict()]
    with pytest.raises((ValueError, AttributeError, TypeError)):
        reparameterize(model, inplace=inplace)
    assert [*model.state_dict()] == names
    merged = reparameterize(twin, inplace=inplace)
    assert merged.ours.deploy and merged.theirs.deploy


@pytest.mark.parametrize(
    ('pruned', 'message'),
    [('stages.1.0.repmlp_block.fc3', r'^backbone.* cannot .*prune\.remove'),
     ('patch_embed.projection', 'cannot be copied.*inplace=True')])
def test_pruned_models_are_not_copied(model, pruned, message):
    layer = model.backbone.get_submodule(pruned)
    prune.l1_unstructured(layer, 'weight', 0.5)
    with pytest.raises(ValueError, match=message):
        reparameterize(model)


@pytest.mark.parametrize('inplace', [True, False])
@pytest.mark.parametrize('built', [True, False])
def test_merged_in_inference_mode_it_can_be_trained_and_loaded(inplace, built):
    with torch.inference_mode(built):
        model = classifier()
    with torch.inference_mode():
        merged = reparameterize(model, inplace=inplace)
    merged.train()(X).sum().backward()
    merged.load_state_dict(merged.state_dict())
    assert not any(t.is_inference() for t in merged.state_dict().values())


def test_a_compiled_model_is_merged_inside(model):
    merged = reparameterize(torch.compile(model, backend='eager'))
    assert merged._orig_mod.backbone.deploy
    assert_same(merged._orig_mod(X), model(X))


def test_an_own_way_of_merging_is_kept():

    class Own(RepMLPNet):

        def switch_to_deploy(self):
            super().switch_to_deploy()
            self.told = True

    merged = reparameterize(random_model(Own, **TINY_CFG))
    assert merged.deploy and merged.told


# ---------------------------------------------------------- largest_difference


def test_difference_of_equal_models_is_rounding(model):
    assert largest_difference(model, model, X) == 0
    assert 0 < largest_difference(model, reparameterize(model), X) < 1e-12


class Outputs(nn.Module):
    """Gives what it takes, and that changed, in several containers."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, x):
        return dict(a=[x], b=(x, self.change(x)))


@pytest.mark.parametrize(('one', 'other', 'difference'), [
    (lambda x: x, lambda x: x + x.new_tensor([0., 2.]), 0.5),
    (lambda x: x, lambda x: x * torch.nan, torch.inf),
    (lambda x: x * torch.nan, lambda x: x, torch.inf),
])
def test_differences_are_found_in_every_output(one, other, difference):
    x = torch.tensor([4., 1.])
    assert largest_difference(Outputs(one), Outputs(other), x) == difference


def test_comparing_changes_neither_model(model):
    model.float().train()
    before = copy.deepcopy(model.state_dict())
    largest_difference(model, model, X)
    assert all(m.training for m in model.modules())
    assert_same([*model.state_dict().values()], [*before.values()], 0)


def test_outputs_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match='different shapes'):
        largest_difference(nn.Linear(2, 2), nn.Linear(2, 3), torch.ones(1, 2))
