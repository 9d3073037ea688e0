import copy

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from mmcls_repmlp import fuse_for_inference, inject_locality, reparameterize
from mmcls_repmlp.host import MODELS, build_backbone
from mmcls_repmlp.models import ResMLP
from mmcls_repmlp.models.resmlp.resmlp import ARCHS
from mmcls_repmlp.reparam import complexity
from repmlp_lite.errors import CheckpointError, InputError
from tests.helpers import assert_same, randn, random_model

SMALL = dict(arch=dict(channels=12, depth=3), img_size=(24, 40), patch_size=8)
LOCAL = dict(SMALL, reparam_conv_kernels=(1, 3))


def by_hand(model, images):
    """Compute the last map by the formulas of the paper."""
    w = model.state_dict()
    x = F.conv2d(images, w['stem.proj.weight'], w['stem.proj.bias'], stride=8)
    grid = x.shape[2:]
    x = x.flatten(2)  # (N, C, Q)
    for i in range(3):
        b = f'stages.{i}.0.'
        a1, b1, a2, b2 = (
            w[f'{b}norm{n}.{name}'].view(-1, 1) for n in (1, 2)
            for name in ('alpha', 'beta'))
        mixed = (a1 * x + b1) @ w[f'{b}linear_tokens.weight'].T + w[
            f'{b}linear_tokens.bias']
        x = x + w[f'{b}ls1'].view(-1, 1) * mixed
        y = (a2 * x + b2).transpose(1, 2)
        y = F.linear(y, w[f'{b}mlp_channels.fc1.weight'],
                     w[f'{b}mlp_channels.fc1.bias'])
        y = F.linear(
            F.gelu(y), w[f'{b}mlp_channels.fc2.weight'],
            w[f'{b}mlp_channels.fc2.bias'])
        x = x + w[f'{b}ls2'].view(-1, 1) * y.transpose(1, 2)
    x = w['norm.alpha'].view(-1, 1) * x + w['norm.beta'].view(-1, 1)
    return x.unflatten(2, grid)


def scaled(**cfg):
    """A random model whose branches count: layer scales near 1."""
    model = random_model(ResMLP, **cfg)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if '.ls' in name:
                value.uniform_(0.2, 0.6)
    return model


def test_the_published_network_is_that_of_the_paper():
    model, images = scaled(**SMALL), randn(2, 3, 24, 40)
    out, = model(images)
    assert out.shape == (2, 12, 3, 5)
    assert_same(out, by_hand(model, images), 1e-12)
    assert model.deploy  # there is nothing to merge


@pytest.mark.parametrize('kernels', [(1, 3), (5, )])
def test_locality_is_merged_into_the_published_network(kernels):
    model = scaled(**dict(LOCAL, reparam_conv_kernels=kernels))
    images = randn(2, 3, 24, 40)
    expected, = model(images)
    assert not model.deploy
    merged = reparameterize(model)
    assert_same(merged(images)[0], expected, 1e-12)
    plain = ResMLP(**SMALL).double().eval()
    plain.load_state_dict(merged.state_dict())  # strictly
    assert_same(by_hand(plain, images), expected, 1e-12)
    twin = ResMLP(**LOCAL, deploy=True).double()
    twin.load_state_dict(merged.state_dict())
    assert_same(fuse_for_inference(model)(images)[0], expected, 1e-12)
    with pytest.raises(CheckpointError, match='does not fit'):
        ResMLP(**SMALL).load_state_dict(model.state_dict(), strict=False)


def test_weights_of_the_published_network_are_a_start():
    model, plain = scaled(**LOCAL), scaled(**SMALL)
    missing, unexpected = model.load_state_dict(plain.state_dict(), False)
    assert not unexpected and all('.repconv' in key for key in missing)
    key = 'stages.1.0.linear_tokens.weight'
    assert torch.equal(model.state_dict()[key], plain.state_dict()[key])
    broken = {**plain.state_dict()}
    del broken[key]
    with pytest.raises(CheckpointError, match='does not fit'):
        model.load_state_dict(broken, False)


def test_it_is_injected_like_that_of_others():
    model, images = scaled(**SMALL), randn(2, 3, 24, 40)
    grids = {'stages.*.0.linear_tokens': (3, 5)}
    injected = inject_locality(model, layers=grids)
    assert torch.equal(injected(images)[0], model(images)[0])
    keys = ResMLP(**LOCAL).state_dict().keys()
    assert injected.state_dict().keys() == keys


def test_maps_of_every_block():
    model = scaled(**LOCAL, out_indices=(0, -1))
    first, last = model(randn(2, 3, 24, 40))
    assert first.shape == last.shape == (2, 12, 3, 5)
    assert_same(last, scaled(**LOCAL)(randn(2, 3, 24, 40))[0], 1e-12)
    assert model.out_indices == (0, 2)
    assert model.feature_info == [
        dict(num_chs=12, reduction=8, module=name)
        for name in ('stages.0', 'stages.1', 'norm')
    ]


def test_layer_decay_and_freezing():
    model = ResMLP(**LOCAL, frozen_stages=1).train()
    frozen = [name for name, p in model.named_parameters()
              if not p.requires_grad]  # yapf: disable
    assert {name.split('.')[0] + name.split('.')[1]
            for name in frozen} == {'stemproj', 'stages0', 'stages1'}
    depths = [
        model.get_layer_depth(name)
        for name in ('stem.proj.weight', 'stages.0.0.ls1',
                     'stages.2.0.linear_tokens.repconv3.conv.weight',
                     'norm.alpha')
    ]
    assert depths == [(0, 5), (1, 5), (3, 5), (4, 5)]


def test_gradients_checkpointing_and_drop_path():
    images = randn(2, 3, 24, 40)
    plain, saved = (
        scaled(**LOCAL, with_cp=with_cp).train() for with_cp in (False, True))
    for model in (plain, saved):
        model(images)[0].square().sum().backward()
    for one, other in zip(plain.parameters(), saved.parameters()):
        assert_same(other.grad, one.grad, 1e-9)
    dropped = scaled(**SMALL, drop_path_rate=0.9).train()
    assert not torch.equal(dropped(images)[0], plain(images)[0])


@pytest.mark.parametrize(('arch', 'params', 'macs'), [('S12', 15.351, 3.01),
                                                      ('s24', 30.021, 5.96),
                                                      ('b24', 129.138, None)])
def test_the_published_sizes(arch, params, macs):
    with torch.device('meta'):
        model = ResMLP(arch)
        head = nn.Linear(model.channels[0], 1000)
    count = sum(p.numel() for part in (model, head)
                for p in part.parameters())  # yapf: disable
    assert round(count / 1e6, 3) == params
    if macs:
        assert complexity(model, (3, 224, 224)).macs / 1e9 == pytest.approx(
            macs, abs=0.01)
    assert len(ARCHS) == 3


@pytest.mark.parametrize(('change', 'words'), [
    (dict(arch='s36'), "arch 's36' is unknown: choose from s12"),
    (dict(arch=dict(channels=8)), 'arch must name channels and depth'),
    (dict(img_size=20), 'img_size must be a multiple of the strides'),
    (dict(reparam_conv_kernels=(2, )), 'reparam_conv_kernels must be'),
    (dict(out_indices=(3, )), 'out_indices must be different stages'),
    (dict(drop_path_rate=1.), 'drop_path_rate'),
])
def test_wrong_arguments_are_named(change, words):
    with pytest.raises(ValueError, match=words):
        ResMLP(**{**SMALL, **change})


def test_other_images_are_refused():
    with pytest.raises(InputError, match='img_size=24x40'):
        ResMLP(**SMALL)(torch.rand(1, 3, 40, 24))


def test_the_host_builds_it_by_name():
    assert MODELS.get('ResMLP') is ResMLP
    model = build_backbone(dict(type='ResMLP', **copy.deepcopy(LOCAL)))
    model.init_weights()
    assert 0.01 < model.stages[0][0].linear_tokens.weight.std() < 0.03
