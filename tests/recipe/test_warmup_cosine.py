"""The rate at every step against the source's formula, written out here."""
import math

import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import nn

from mmcls_repmlp.host import PARAM_SCHEDULERS

FULL, FIRST = 1e-3, 5e-7


def official_rate(iteration, epoch_length, full=FULL, first=FIRST):
    """The rate that the step of an iteration, from 0 on, is taken with.

    The loop sets the rate after that step, as a function of its number.
    """
    t = max(iteration - 1, 0)
    warmup, total = 10 * epoch_length, 100 * epoch_length
    if t < warmup:
        return first + t * (full - first) / warmup
    return 0.5 * full * (1 + math.cos(math.pi * t / total))


def scheduler(**options):
    init_default_scope('mmcls')
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=FULL)
    cfg = dict(
        type='WarmupCosineLR',
        optimizer=optimizer,
        **dict(start_factor=5e-4, warmup=10, end=100) | options)
    return PARAM_SCHEDULERS.build(cfg), optimizer


def step(built, optimizer):
    optimizer.step()  # as training does
    built.step()
    return optimizer.param_groups[0]['lr']


def test_chosen_iterations_of_imagenet():
    rates = scheduler(
        convert_to_iter_based=True, epoch_length=1281167 // 256)[0]
    assert not rates.by_epoch
    one = 9.995e-4 / 50040
    for iteration, rate in ((0, 5e-7), (1, 5e-7), (2, 5e-7 + one),
                            (25021, 5.0025e-4), (50040, 1e-3 - one),
                            (50041, 9.75528e-4), (250201, 5e-4), (500399, 0)):
        assert FULL * rates.factor(iteration) == pytest.approx(
            rate, rel=1e-5, abs=1e-13)


class OneWeight(nn.Module):

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.rates = []

    def train_step(self, data, optim_wrapper):
        self.rates += optim_wrapper.get_lr()['lr']
        loss = (self.weight * len(data)).sum()
        optim_wrapper.update_params(loss)
        return {'loss': loss}


def test_every_step_of_a_training_by_mmengine(work_dir):
    init_default_scope('mmcls')
    model = OneWeight()
    Runner(
        model,
        work_dir,
        train_dataloader=dict(
            dataset=[*range(193)],
            batch_size=64,
            drop_last=True,
            sampler=dict(type='DefaultSampler', shuffle=False)),
        train_cfg=dict(by_epoch=True, max_epochs=100),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=FULL)),
        auto_scale_lr=dict(base_batch_size=256, enable=True),
        param_scheduler=dict(
            type='WarmupCosineLR',
            start_factor=5e-4,
            warmup=10,
            by_epoch=True,
            convert_to_iter_based=True),
        default_hooks=dict(logger=None, checkpoint=None),
        default_scope='mmcls',
        log_level='ERROR',
        experiment_name='rates').train()
    expected = [official_rate(i, 3, FULL / 4, FIRST / 4) for i in range(300)]
    assert model.rates == pytest.approx(expected, rel=1e-12, abs=1e-18)


def test_resumes_where_it_was():
    trained, resumed = scheduler(), scheduler()
    for _ in range(30):
        step(*trained)
    for old, new in zip(trained, resumed):
        new.load_state_dict(old.state_dict())
    rates = [step(*trained), step(*resumed)]
    assert rates[0] == rates[1] == pytest.approx(official_rate(31, 1))


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [(dict(warmup=-1), 'warmup must be 0 or more'),
     (dict(start_factor=1.5), 'start_factor in .* and 1.5'),
     (dict(warmup_ratio=0.1), 'either warmup or warmup_ratio'),
     (dict(warmup=None), 'either warmup or warmup_ratio')])
def test_impossible_schedules_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        scheduler(**wrong)


def test_a_trial_shorter_than_its_warm_up_warms_up():
    rates = scheduler(end=3)[0]
    assert [FULL * rates.factor(i) for i in range(3)
            ] == pytest.approx([official_rate(i, 1) for i in range(3)])
