import warnings
from collections import OrderedDict
from unittest.mock import Mock

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from mmcls_repmlp import RepMLPNet
from mmcls_repmlp.checkpoints import (check_fit, keep_dtype, load_strictly,
                                      read_checkpoint, state_dict_of)
from mmcls_repmlp.checkpoints import weights as weights_module
from mmcls_repmlp.checkpoints.plain import to_plain
from repmlp_lite.errors import CheckpointError
from tests.helpers import TINY_CFG, assert_refused, assert_same, random_model

WEIGHTS = {'a.weight': torch.ones(2), 'a.bias': torch.zeros(1)}
OTHERS = {key: value + 1 for key, value in WEIGHTS.items()}
META = dict(mmengine_version='0.10.7')
RNG = dict(cpu=torch.get_rng_state(), numpy=torch.zeros(3, dtype=torch.int64))


def below(prefix, weights=WEIGHTS):
    return {f'{prefix}{key}': value for key, value in weights.items()}


def check(content, expected, key=None):
    """Hold what is taken out of a checkpoint against these weights."""
    found = state_dict_of(content, 'a.pth', key)
    assert found.keys() == expected.keys()
    assert_same([*found.values()], [*expected.values()], 0)


def check_refused(content, message, key=None):
    with pytest.raises(CheckpointError, match=message):
        state_dict_of(to_plain(content, 'a.pth'), 'a.pth', key)


@pytest.mark.parametrize('content', [
    WEIGHTS,
    OrderedDict(below('module.')),
    dict(model=WEIGHTS),
    dict(state_dict=below('module.'), optimizer={}, meta={}, random=RNG),
    dict(ema=dict(decay=0.9, shadow=WEIGHTS)),
    dict(optimizer_ema=OTHERS, model_state=WEIGHTS)
])
def test_all_envelopes_are_opened(tmp_path, content):
    torch.save(content, tmp_path / 'a.pth')
    check(read_checkpoint(tmp_path / 'a.pth'), WEIGHTS)


@pytest.mark.parametrize('content', [{}, [1], {
    1: torch.ones(1)
},
                                     dict(state_dict={}),
                                     dict(a=torch.ones(1), b=2),
                                     dict(random=RNG)])
def test_files_without_weights_are_refused(content):
    check_refused(content, r"'a.pth' holds no state dict")


# -------------------------------------------------- several sets of weights


def test_of_several_sets_none_is_chosen_silently():
    content = dict(state_dict=WEIGHTS, state_dict_ema=OTHERS)
    choice = "with option `key=...`, out of 'state_dict', 'state_dict_ema'"
    check_refused(content, f'several sets .*: choose one {choice}')
    check(content, WEIGHTS, 'state_dict')
    check(content, OTHERS, 'state_dict_ema')


def test_a_key_that_is_not_there_names_those_that_are():
    both = dict(model=WEIGHTS, ema=dict(shadow=OTHERS))
    check_refused(both, "under 'x': choose from 'model', 'ema.shadow'", 'x')
    check_refused(WEIGHTS, "under 'x': leave the key out", 'x')
    check(both, OTHERS, 'ema.shadow')


def test_numbers_beside_weights_hide_no_set():
    both = dict(model=WEIGHTS, ema=dict(OTHERS, decay=0.99))
    check_refused(both, "several sets .*'model', 'ema'")
    check(both, OTHERS, 'ema')


def test_a_weight_is_no_mask():
    rows = torch.tensor([[0., 0.], [-torch.inf, -torch.inf]])
    check_refused({'head.fc.weight': rows}, 'infinite or undefined')
    state_dict_of({'window.mask': rows, 'a.weight': rows[0]}, 'a.pth')


def test_parameters_are_finite_whatever_their_name():
    model = nn.Module()
    model.register_parameter('mask', nn.Parameter(torch.zeros(2)))
    model.register_buffer('rows', torch.zeros(2))
    infinite = torch.full((2, ), -torch.inf)
    load_strictly(model, dict(mask=torch.zeros(2), rows=infinite), 'a.pth')
    with pytest.raises(CheckpointError, match="entry 'mask' has infinite"):
        load_strictly(model, dict(mask=infinite, rows=infinite), 'a.pth')


def test_of_mmengines_two_sets_the_averaged_is_taken_and_said(monkeypatch):
    log = Mock()
    monkeypatch.setattr(weights_module, 'print_log', log)
    raw = dict(below('module.', OTHERS), steps=torch.tensor(3))
    content = dict(state_dict=WEIGHTS, ema_state_dict=raw)
    # Nothing shows which is which unless mmengine wrote them.
    check_refused(content, 'several sets .*state_dict.*ema_state_dict')
    check_refused(
        dict(content, meta=META, ema_state_dict=OTHERS), 'several sets')
    content['meta'] = META
    check(content, WEIGHTS)
    words = "taking the weights 'state_dict', which mmengine averaged"
    assert words in log.call_args.args[0]
    check(content, OTHERS, 'ema_state_dict')


# ----------------------------------------------------------- names of wrappers
def lightning(model):
    return nn.ModuleDict(dict(model=model))


def compiled(model):
    return torch.compile(model)  # not run, so that nothing is compiled


@pytest.mark.parametrize('outer', [nn.DataParallel, lightning, AveragedModel])
@pytest.mark.parametrize('inner', [compiled, lightning, AveragedModel])
def test_wrappers_in_any_nesting(outer, inner):
    model = nn.Sequential(
        OrderedDict(backbone=nn.Conv2d(3, 4, 1), head=nn.Linear(4, 2)))
    check(outer(inner(model)).state_dict(), model.state_dict())


def test_only_a_part_was_wrapped():
    inner = below('head._orig_mod.') | below('backbone.')
    check(inner, below('head.') | below('backbone.'))
    for mixed in (below('module.') | WEIGHTS, dict(module=torch.ones(1))):
        check(mixed, mixed)


def test_the_same_weights_twice_are_refused():
    check_refused(WEIGHTS | below('_orig_mod.'), 'inside and outside')


# ------------------------------------------------------------ kinds of tensors

with warnings.catch_warnings():  # deprecated, but files with them remain
    warnings.simplefilter('ignore')
    QUANTIZED = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    NESTED = torch.nested.nested_tensor([torch.ones(2)])


@pytest.mark.parametrize(
    ('weight', 'message'),
    [(torch.ones(2, device='meta'), 'only a shape'),
     *((weight, 'no plain tensor')
       for weight in (torch.eye(2).to_sparse(), QUANTIZED, NESTED)),
     (torch.ones(2, dtype=torch.complex64), 'is complex'),
     *((torch.tensor(numbers).to(dtype), 'infinite or undefined numbers')
       for numbers, dtype in (([1., torch.nan], torch.float32),
                              ([torch.inf], torch.float16),
                              ([-torch.inf, 1.], torch.float32),
                              ([torch.nan], torch.float8_e4m3fn)))])
def test_what_is_no_weight_is_refused_by_name(weight, message):
    check_refused(dict(WEIGHTS, odd=weight), f"its entry 'odd' .*{message}")


@pytest.mark.parametrize('more', [
    *(torch.ones(2).to(dtype)
      for dtype in (torch.float64, torch.bfloat16, torch.float8_e5m2,
                    torch.int8, torch.bool, torch.uint16)),
    *map(torch.tensor, ([0., -torch.inf], [-torch.inf]))
])
def test_all_numbers_that_torch_stores_and_masks_are_weights(more):
    found = state_dict_of(dict(WEIGHTS, mask=more), 'a.pth')['mask']
    assert found.dtype == more.dtype
    assert found.view(torch.uint8).equal(more.view(torch.uint8))


def test_a_few_numbers_that_claim_to_be_many_are_refused():
    big = torch.ones(1).expand(2**16, 2**16)
    message = 'claim 17,179,869,196 .* hold 16: above 1,073,741,824 at most 16'
    check_refused(dict(WEIGHTS, big=big), message)
    big = torch.ones(2**20).expand(260, -1)  # a little more than 2**30 bytes
    check_refused(dict(big=big), 'claim 1,090,519,040 bytes')
    tied = dict.fromkeys('abc', torch.ones(1000, 10))
    check(tied, tied)


# ----------------------------------------------------------------- into models


@pytest.mark.parametrize(('change', 'message'), [
    (lambda w: w.pop('final_norm.weight'), '1 missing: final_norm.weight'),
    (lambda w: w.update(new=torch.ones(1)), '1 unexpected: new'),
    (lambda w: w.update({'final_norm.weight': torch.ones(3)}),
     r'1 mis-shaped: final_norm.weight \(model \(32,\), checkpoint \(3,\)\)'),
    (lambda w: w.update({'final_norm.weight': torch.ones(32).long()}),
     r'integers where .*1 not floating-point: final_norm.weight'),
])
def test_strict_loading_is_all_or_nothing(change, message):
    weights = dict(random_model(RepMLPNet, **TINY_CFG).state_dict())
    change(weights)
    assert_refused(
        random_model(RepMLPNet, 1, **TINY_CFG), weights, message,
        lambda *files: load_strictly(*files, 'a.pth'))


def test_a_message_stays_short_whatever_the_names_are():
    model = random_model(RepMLPNet, **TINY_CFG)
    weights = {f'{i}' * 10_000: torch.ones(1) for i in range(9)}
    with pytest.raises(CheckpointError, match='check arch') as error:
        check_fit(model, weights, 'folder/' * 50 + 'a.pth')
    assert len(str(error.value)) <= 300


@pytest.mark.parametrize(('kinds', 'kept'),
                         [((torch.float64, torch.int64), torch.float64),
                          ((torch.float16, torch.float64), torch.float32),
                          ((torch.int64, ), torch.float32)])
def test_a_model_keeps_the_one_dtype_of_weights(kinds, kept):
    model = torch.nn.Linear(2, 1)
    keep_dtype(model, {str(kind): torch.ones(1, dtype=kind) for kind in kinds})
    assert {weight.dtype for weight in model.parameters()} == {kept}
