import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from mmcls_repmlp.models.merge_blockers import check_no_blockers


def put_weight(change):
    return lambda layer: setattr(
        layer, 'weight',
        nn.Parameter(change(layer.weight.data), requires_grad=False))


def hook(kind):
    return lambda layer: getattr(layer, f'register_{kind}')(lambda *_: None)


# What is done to a layer, the remedy that the message names, and the remedy.
CHANGES = dict(
    pruned=(lambda c: prune.l1_unstructured(c, 'weight', 0.5),
            'torch.nn.utils.prune.remove',
            lambda c: prune.remove(c, 'weight')),
    parametrized=(parametrizations.orthogonal, 'remove_parametrizations',
                  lambda c: parametrize.remove_parametrizations(c, 'weight')),
    weight_norm=(nn.utils.weight_norm, 'remove_weight_norm',
                 nn.utils.remove_weight_norm),
    spectral_norm=(nn.utils.spectral_norm, 'remove_spectral_norm',
                   nn.utils.remove_spectral_norm),
    own_forward=(lambda c: setattr(c, 'forward', print), 'delete it',
                 lambda c: delattr(c, 'forward')),
    own_product=(lambda c: setattr(c, '_conv_forward', print), 'delete it',
                 lambda c: delattr(c, '_conv_forward')),
    sparse=(put_weight(lambda weight: weight.to_sparse()),
            'not dense floating-point',
            put_weight(lambda weight: weight.to_dense())),
    integer=(put_weight(lambda weight: weight.to(torch.int8)),
             'not dense floating-point',
             put_weight(lambda weight: weight.float())),
    **{
        kind: (hook(kind), 'would see .* remove them', None)
        for kind in ('forward_hook', 'forward_pre_hook', 'full_backward_hook',
                     'full_backward_pre_hook')
    })


@pytest.mark.filterwarnings('ignore::FutureWarning')
@pytest.mark.parametrize(('change', 'named', 'remedy'),
                         CHANGES.values(),
                         ids=CHANGES)
def test_the_remedy_in_the_message_works(change, named, remedy):
    layer = nn.Conv2d(3, 3, 1)
    check_no_blockers([('a.b', layer)])
    handle = change(layer)
    message = f'^a.b cannot be merged: it .*{named}.*first'
    with pytest.raises(ValueError, match=message):
        check_no_blockers([('a', nn.ReLU()), ('a.b', layer)])
    remedy(layer) if remedy else handle.remove()
    check_no_blockers([('a.b', layer)])
