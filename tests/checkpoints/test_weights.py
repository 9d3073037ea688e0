import warnings
from collections import OrderedDict
from itertools import product

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from mmcls_repmlp.checkpoints import read_checkpoint, state_dict_of
from mmcls_repmlp.checkpoints import weights as weights_module
from mmcls_repmlp.errors import CheckpointError
from tests.helpers import assert_same

WEIGHTS = {'a.weight': torch.ones(2), 'a.bias': torch.zeros(1)}
OTHERS = {key: value + 1 for key, value in WEIGHTS.items()}
RNG = dict(cpu=torch.get_rng_state(), numpy=torch.zeros(3, dtype=torch.int64))


def below(prefix, weights=WEIGHTS):
    return {f'{prefix}{key}': value for key, value in weights.items()}


@pytest.mark.parametrize('content', [
    WEIGHTS,
    OrderedDict(WEIGHTS),
    below('module.'),
    dict(state_dict=WEIGHTS),
    dict(model=WEIGHTS),
    dict(ema=below('module.')),
    dict(state_dict=below('module.'), optimizer={}, meta={}, random=RNG),
    dict(ema=dict(decay=0.9, shadow=WEIGHTS)),
    dict(optimizer_ema=OTHERS, model_state=WEIGHTS)
])
def test_all_envelopes_are_opened(tmp_path, content):
    path = tmp_path / 'a.pth'
    torch.save(content, path)
    read = state_dict_of(read_checkpoint(path), path)
    assert read.keys() == WEIGHTS.keys()
    assert_same([*read.values()], [*WEIGHTS.values()], 0)


@pytest.mark.parametrize('content', [{}, [1],
                                     dict(state_dict={}),
                                     dict(a=1),
                                     torch.ones(2), None, 'text', {
                                         1: torch.ones(1)
                                     }, {
                                         'a': torch.ones(1),
                                         'b': 2
                                     },
                                     dict(random=RNG)])
def test_files_without_weights_are_refused(content):
    with pytest.raises(CheckpointError, match=r"'a.pth' holds no state dict"):
        state_dict_of(content, 'a.pth')


# -------------------------------------------------- several sets of weights


@pytest.mark.parametrize('names', [('state_dict', 'state_dict_ema'),
                                   ('model', 'ema'), ('model', 'model_ema'),
                                   ('student', 'teacher')])
def test_of_several_sets_none_is_chosen_silently(names):
    content = dict(zip(names, (WEIGHTS, OTHERS)))
    with pytest.raises(
            CheckpointError,
            match='several sets of weights: '
            f"choose one with option `key=...`, out of '{names[0]}', "
            f"'{names[1]}'"):
        state_dict_of(content, 'a.pth')
    for name, expected in zip(names, (WEIGHTS, OTHERS)):
        assert_same([*state_dict_of(content, 'a.pth', name).values()],
                    [*expected.values()], 0)


def test_a_key_that_is_not_there_names_those_that_are():
    both = dict(model=WEIGHTS, ema=dict(shadow=OTHERS))
    with pytest.raises(
            CheckpointError,
            match="no state dict under 'x': "
            "choose from 'model', 'ema.shadow'"):
        state_dict_of(both, 'a.pth', 'x')
    with pytest.raises(CheckpointError, match="under 'x': leave the key out"):
        state_dict_of(WEIGHTS, 'a.pth', 'x')
    assert_same(
        state_dict_of(both, 'a.pth', 'ema.shadow')['a.weight'],
        OTHERS['a.weight'], 0)


def test_of_mmengines_two_sets_the_averaged_is_taken_and_said(monkeypatch):
    said = []
    monkeypatch.setattr(weights_module, 'print_log',
                        lambda line, logger: said.append(line))
    raw = dict(below('module.', OTHERS), steps=torch.tensor(3))
    content = dict(state_dict=WEIGHTS, ema_state_dict=raw)
    assert_same(
        state_dict_of(content, 'a.pth')['a.weight'], WEIGHTS['a.weight'], 0)
    assert "'a.pth': taking 'state_dict', which mmengine averaged" in said[0]
    taken = state_dict_of(content, 'a.pth', 'ema_state_dict')
    assert taken.keys() == WEIGHTS.keys()


# ----------------------------------------------------------- names of wrappers


class Lightning(nn.Module):
    """Holds its model as Lightning modules do."""

    def __init__(self, model):
        super().__init__()
        self.model = model


def compiled(model):
    return torch.compile(model)  # not run, so that nothing is compiled


WRAPPERS = [nn.DataParallel, compiled, Lightning, AveragedModel]


@pytest.mark.parametrize(('outer', 'inner'), [
    pair
    for pair in product(WRAPPERS, repeat=2) if pair != (compiled, compiled)
])  # torch compiles once
def test_wrappers_in_any_nesting(outer, inner):
    model = nn.Sequential(
        OrderedDict(backbone=nn.Conv2d(3, 4, 1), head=nn.Linear(4, 2)))
    expected = {
        key: value.clone()
        for key, value in model.state_dict().items()
    }
    found = state_dict_of(outer(inner(model)).state_dict(), 'a.pth')
    assert found.keys() == expected.keys()
    assert_same([*found.values()], [*expected.values()], 0)


def test_a_part_that_was_compiled():
    model = nn.Sequential(
        OrderedDict(
            backbone=compiled(nn.Conv2d(3, 4, 1)), head=nn.Linear(4, 2)))
    assert set(state_dict_of(model.state_dict(), 'a.pth')) == {
        'backbone.weight', 'backbone.bias', 'head.weight', 'head.bias'
    }


def test_a_prefix_that_only_some_names_have_is_kept():
    mixed = {'module.a': torch.ones(1), 'b': torch.ones(1)}
    assert state_dict_of(mixed, 'a.pth').keys() == mixed.keys()


def test_the_same_weights_twice_are_refused():
    twice = {'a.weight': torch.ones(1), 'a._orig_mod.weight': torch.ones(1)}
    with pytest.raises(CheckpointError, match='inside and outside'):
        state_dict_of(twice, 'a.pth')


# ------------------------------------------------------------ kinds of tensors


def quietly(function, *args):
    """Call what torch has deprecated; files with its results remain."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return function(*args)


@pytest.mark.parametrize(('weight', 'message'), [
    (torch.ones(2, device='meta'), 'only a shape'),
    (torch.eye(2).to_sparse(), 'no plain tensor'),
    (quietly(torch.quantize_per_tensor, torch.ones(2), 0.1, 0,
             torch.qint8), 'no plain tensor'),
    (quietly(torch.nested.nested_tensor, [torch.ones(2)]), 'no plain tensor'),
    (torch.ones(2, dtype=torch.complex64), 'is complex'),
    (torch.tensor([1., float('nan')]), 'infinite or undefined numbers'),
    (torch.tensor([float('inf')]).half(), 'infinite or undefined numbers'),
    (torch.tensor([-float('inf'), 1.]), 'infinite or undefined numbers'),
    (torch.tensor([float('nan')]).to(
        torch.float8_e4m3fn), 'infinite or undefined numbers'),
])
@pytest.mark.parametrize('key', [None, 'state_dict'])
def test_what_is_no_weight_is_refused_by_name(weight, message, key):
    content = dict(state_dict=dict(WEIGHTS, odd=weight))
    with pytest.raises(CheckpointError, match=f"its entry 'odd' .*{message}"):
        state_dict_of(content, 'a.pth', key)


@pytest.mark.parametrize('dtype', [
    torch.float64, torch.bfloat16, torch.float8_e5m2, torch.int8, torch.bool,
    torch.uint16
])
def test_all_numbers_that_torch_stores_are_weights(dtype):
    weights = dict(WEIGHTS, more=torch.ones(2).to(dtype))
    assert state_dict_of(weights, 'a.pth')['more'].dtype == dtype


@pytest.mark.parametrize('mask', [[0., -torch.inf], [-torch.inf]])
def test_masks_are_taken(mask):
    mask = torch.tensor(mask)
    assert state_dict_of(dict(WEIGHTS, mask=mask), 'a.pth')['mask'].equal(mask)


def test_a_few_numbers_that_claim_to_be_many_are_refused():
    big = torch.ones(1).expand(2**16, 2**16)
    with pytest.raises(
            CheckpointError,
            match='claim 17,179,869,196 bytes and '
            'hold 16: above 1,073,741,824 at most 16 times'):
        state_dict_of(dict(WEIGHTS, big=big), 'a.pth')
    big = torch.ones(2**20).expand(260, -1)  # a little more than 2**30 bytes
    with pytest.raises(CheckpointError, match='claim 1,090,519,040 bytes'):
        state_dict_of(dict(big=big), 'a.pth')
    tied = torch.ones(1000, 10)
    assert len(state_dict_of(dict(a=tied, b=tied, c=tied.T), 'a.pth')) == 3
