import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from mmcls_repmlp.models.obstacles import (check_free, check_one_device,
                                           obstacle)

# What is done to a layer, and the remedy that the message names.
DEEDS = dict(
    pruned=(lambda c: prune.l1_unstructured(c, 'weight', 0.5),
            'torch.nn.utils.prune.remove',
            lambda c: prune.remove(c, 'weight')),
    pruned_twice=(
        lambda c:
        [prune.random_unstructured(c, 'weight', 0.2) for _ in range(2)],
        'torch.nn.utils.prune.remove', lambda c: prune.remove(c, 'weight')),
    parametrized=(parametrizations.orthogonal, 'remove_parametrizations',
                  lambda c: parametrize.remove_parametrizations(c, 'weight')),
    spectral_norm=(nn.utils.spectral_norm, 'remove_spectral_norm',
                   nn.utils.remove_spectral_norm),
    own_forward=(lambda c: setattr(c, 'forward', print), 'delete it',
                 lambda c: delattr(c, 'forward')),
    half_sparse=(
        lambda c: setattr(c, 'weight', nn.Parameter(c.weight.to_sparse())),
        'not dense floating-point',
        lambda c: setattr(c, 'weight', nn.Parameter(c.weight.to_dense()))),
    integer=(lambda c: setattr(
        c, 'weight', nn.Parameter(
            c.weight.to(torch.int8), requires_grad=False)),
             'not dense floating-point',
             lambda c: setattr(c, 'weight', nn.Parameter(c.weight.float()))),
)


@pytest.mark.parametrize('deed', DEEDS)
def test_the_remedy_named_is_one(deed):
    layer = nn.Conv2d(3, 3, 1)
    do, named, remedy = DEEDS[deed]
    assert obstacle(layer) is None
    do(layer)
    with pytest.raises(
            ValueError, match='^a.b cannot be merged: it .*'
            f'{named}.*first$'):
        check_free([('a', nn.ReLU()), ('a.b', layer)])
    remedy(layer)
    assert obstacle(layer) is None


@pytest.mark.parametrize('kind', [
    'forward_hook', 'forward_pre_hook', 'full_backward_hook',
    'full_backward_pre_hook'
])
def test_hooks(kind):
    layer = nn.BatchNorm2d(2)
    handle = getattr(layer, f'register_{kind}')(lambda *_: None)
    assert 'handle.remove()' in obstacle(layer)
    handle.remove()
    assert obstacle(layer) is None


@pytest.mark.filterwarnings('ignore::FutureWarning')
def test_old_weight_norm():
    layer = nn.utils.weight_norm(nn.Conv2d(3, 3, 1))
    assert 'remove_weight_norm' in obstacle(layer)
    nn.utils.remove_weight_norm(layer)
    assert obstacle(layer) is None


def test_layers_on_several_devices_are_named():
    layers = [('a', nn.Linear(2, 2)), ('b', nn.Linear(2, 2, device='meta'))]
    check_one_device(layers[:1])
    check_one_device(layers[1:])
    with pytest.raises(ValueError, match=r'\(a on cpu, b on meta\): move'):
        check_one_device(layers)
