import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from mmcls_repmlp.models.merge_blockers import (check_no_blockers,
                                                check_one_device, find_blocker)


def put_weight(change):
    return lambda layer: setattr(
        layer, 'weight',
        nn.Parameter(change(layer.weight.data), requires_grad=False))


# What is done to a layer, and the remedy that the message names.
DEEDS = dict(
    pruned=(lambda c: prune.l1_unstructured(c, 'weight', 0.5),
            'torch.nn.utils.prune.remove',
            lambda c: prune.remove(c, 'weight')),
    parametrized=(parametrizations.orthogonal, 'remove_parametrizations',
                  lambda c: parametrize.remove_parametrizations(c, 'weight')),
    spectral_norm=(nn.utils.spectral_norm, 'remove_spectral_norm',
                   nn.utils.remove_spectral_norm),
    own_forward=(lambda c: setattr(c, 'forward', print), 'delete it',
                 lambda c: delattr(c, 'forward')),
    half_sparse=(put_weight(lambda weight: weight.to_sparse()),
                 'not dense floating-point',
                 put_weight(lambda weight: weight.to_dense())),
    integer=(put_weight(lambda weight: weight.to(torch.int8)),
             'not dense floating-point',
             put_weight(lambda weight: weight.float())),
)


@pytest.mark.parametrize(('do', 'named', 'remedy'), DEEDS.values(), ids=DEEDS)
def test_the_remedy_named_is_one(do, named, remedy):
    layer = nn.Conv2d(3, 3, 1)
    assert find_blocker(layer) is None
    do(layer)
    message = f'^a.b cannot be merged: it .*{named}.*first$'
    with pytest.raises(ValueError, match=message):
        check_no_blockers([('a', nn.ReLU()), ('a.b', layer)])
    remedy(layer)
    assert find_blocker(layer) is None


@pytest.mark.parametrize('kind', [
    'forward_hook', 'forward_pre_hook', 'full_backward_hook',
    'full_backward_pre_hook'
])
def test_hooks(kind):
    layer = nn.BatchNorm2d(2)
    handle = getattr(layer, f'register_{kind}')(lambda *_: None)
    assert 'handle.remove()' in find_blocker(layer)
    handle.remove()
    assert find_blocker(layer) is None


@pytest.mark.filterwarnings('ignore::FutureWarning')
def test_old_weight_norm():
    layer = nn.utils.weight_norm(nn.Conv2d(3, 3, 1))
    assert 'remove_weight_norm' in find_blocker(layer)
    nn.utils.remove_weight_norm(layer)
    assert find_blocker(layer) is None


def test_layers_on_several_devices_are_named():
    layers = [('a', nn.Linear(2, 2)), ('b', nn.Linear(2, 2, device='meta'))]
    check_one_device(layers[:1])
    check_one_device(layers[1:])
    with pytest.raises(ValueError, match=r'\(a on cpu, b on meta\): move'):
        check_one_device(layers)
