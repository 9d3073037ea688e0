import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict

from mmcls_repmlp.jobs.train.resume import Start
from mmcls_repmlp.jobs.train.training_state import load_training_state
from repmlp_lite.errors import CheckpointError


def training(kind='AdamW', groups=1, schedules='a', several=False, **options):
    weights = [torch.nn.Parameter(torch.ones(3)) for _ in range(4)]
    split = [dict(params=weights[i::groups]) for i in range(groups)]
    built = getattr(torch.optim, kind)(split, lr=1., **options)
    sum(weights).sum().backward()
    built.step()
    wrapper = OptimWrapper(built)
    return SimpleNamespace(
        optim_wrapper=OptimWrapperDict(x=wrapper) if several else wrapper,
        param_schedulers=[
            SimpleNamespace(state_dict=lambda keys=keys: dict.fromkeys(keys))
            for keys in schedules
        ])


def saved(**options):
    runner = training(**options)
    content = dict(
        optimizer=copy.deepcopy(runner.optim_wrapper.state_dict()),
        param_schedulers=[
            each.state_dict() for each in runner.param_schedulers
        ])
    return Start('a.pth', content, resumes=True)


@pytest.mark.parametrize('options', [
    dict(),
    dict(kind='SGD', momentum=0.9),
    dict(groups=4),
    dict(kind='Adagrad'),
    dict(several=True),
    dict(schedules=['ab', 'c'])
])
def test_the_same_training_goes_on(options):
    start = saved(**options)
    before = copy.deepcopy(start.content['optimizer'])
    load_training_state(training(**options), start)
    assert str(before) == str(start.content['optimizer'])


def test_what_only_pytorchs_version_changes_is_no_difference():
    start = saved()
    for group in start.content['optimizer']['param_groups']:
        group.update(initial_lr=1., fused=None)
        del group['foreach']
    load_training_state(training(), start)


@pytest.mark.parametrize(
    ('options', 'words'),
    [(dict(kind='SGD'), r'another optimizer \(other options: amsgrad'),
     (dict(kind='Adam'), 'other decoupled_weight_decay'),
     (dict(groups=2), '1 groups of 4 parameters, not 2 of 4'),
     (dict(several=True), 'it has no parameter groups'),
     (dict(schedules=''), 'another schedule: resume it with the param_sched'),
     (dict(schedules='aa'), 'another schedule'),
     (dict(schedules='b'), 'another schedule')])
def test_another_training_does_not_go_on(options, words):
    with pytest.raises(CheckpointError, match=words):
        load_training_state(training(**options), saved())
