import json
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.train.schedules import shorten_schedules
from mmcls_repmlp.jobs.train.train import train
from repmlp_lite.errors import CheckpointError
from tests.helpers import CONFIGS


@pytest.fixture
def build():
    """Build the schedules of a config with five iterations an epoch."""

    def new(cfg):
        init_default_scope(cfg.get('default_scope', 'mmcls'))
        loop = object.__new__(EpochBasedTrainLoop)
        loop._max_epochs = cfg.train_cfg.max_epochs
        loop._max_iters = 5 * loop._max_epochs
        loop.dataloader = range(5)
        runner = object.__new__(Runner)
        vars(runner).update(
            _train_loop=loop, logger=SimpleNamespace(debug=lambda _: None))
        wrapper = OptimWrapper(
            torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.))
        return wrapper, runner._build_param_scheduler(cfg.param_scheduler,
                                                      wrapper)

    return new


@pytest.mark.parametrize('epochs', [1, 2])
@pytest.mark.parametrize(
    'path',
    sorted({*CONFIGS.glob('*.py')} - {*CONFIGS.glob('*_de*')}),
    ids=lambda path: path.stem)
def test_every_config_has_schedules_for_few_epochs(build, path, epochs):
    cfg = read_config(path, {'train_cfg.max_epochs': epochs})
    shorten_schedules(cfg)
    wrapper, schedules = build(cfg)
    rates = []
    for _ in range(5 * epochs):
        wrapper.step()
        rates += wrapper.get_lr()['lr']
        for schedule in schedules:
            schedule.step()
    assert max(rates) > 0.6  # the warm-up ends, and in no negative rate
    assert min(rates) >= 0


def test_places_are_scaled_and_what_has_no_room_is_dropped(build, capsys):
    warm_up = dict(type='LinearLR', start_factor=0.1, end=2)
    steps = dict(type='MultiStepLR', begin=2, milestones=[5])
    late = dict(type='LinearLR', start_factor=0.5, begin=50, end=60)
    cfg = Config(dict(train_cfg=dict(max_epochs=2)))
    cfg.param_scheduler = [warm_up, steps, late]
    shorten_schedules(cfg)
    assert [(schedule.get('begin', 0), schedule.get('end'))
            for schedule in cfg.param_scheduler] == [(0, 1), (1, None)]
    said = capsys.readouterr().out
    assert 'warm-up of 2 epochs does not fit into 2: it is' in said
    build(cfg)
    # One epoch cannot be divided but by iterations.
    cfg = Config(dict(train_cfg=dict(max_epochs=1)))
    cfg.param_scheduler = [warm_up, steps]
    shorten_schedules(cfg)
    assert [schedule.type
            for schedule in cfg.param_scheduler] == ['MultiStepLR']
    build(cfg)


def test_long_training_runs_keep_their_schedules(capsys):
    cfg = read_config(CONFIGS / 'repmlp-mini_1xb64_digits-32px.py')
    before = cfg.pretty_text
    shorten_schedules(cfg)
    assert cfg.pretty_text == before and not capsys.readouterr().out


def rates_of(work_dir):
    return {
        row['step']: row['lr']
        for log in sorted(work_dir.glob('*/vis_data/scalars.json'))
        for row in map(json.loads,
                       log.read_text().splitlines()) if 'iter' in row
    }


def test_a_resumed_run_follows_a_new_schedule_if_asked_to(project, tmp_path):
    schedule = dict(
        type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True)
    warm_up = dict(type='LinearLR', start_factor=0.5, end=1)

    def fit(name, epochs, rate=0.01, **arguments):
        options = {
            'train_cfg.max_epochs': epochs,
            'param_scheduler': [warm_up, schedule],
            'optim_wrapper.optimizer.lr': rate,
            'default_hooks.logger.interval': 1,
            'val_cfg': None,
            'val_dataloader': None,
            'val_evaluator': None
        }
        train(
            project.config,
            str(tmp_path / name),
            cfg_options=options,
            **arguments,
            no_test=True)
        return rates_of(tmp_path / name)

    fit('a', 2)
    fresh = fit('b', 4, rate=0.02)
    words = ('end of CosineAnnealingLR 12 instead of 6, learning rate 0.02 '
             'instead of 0.01, .*new_schedule=True')
    with pytest.raises(CheckpointError, match=words):
        fit('a', 4, rate=0.02, resume='auto')
    resumed = fit('a', 4, rate=0.02, resume='auto', new_schedule=True)
    assert resumed.keys() == fresh.keys()
    half = len(fresh) // 2
    for step in [*fresh][half:]:
        assert resumed[step] == pytest.approx(fresh[step], rel=1e-9)
    assert resumed[half] != fresh[half]


@pytest.mark.parametrize('schedule', [
    dict(type='OneCycleLR', eta_max=0.01, total_steps=9, by_epoch=False),
    dict(type='ReduceOnPlateauLR', monitor='accuracy/top1', rule='greater'),
    dict(type='LinearMomentum', start_factor=0.5, end=3),
    dict(type='CosineAnnealingParamScheduler', param_name='weight_decay'),
])
def test_any_schedule_is_resumed(project, tmp_path, schedule):
    options = {
        'train_cfg.max_epochs': 3,
        'default_hooks.checkpoint.max_keep_ckpts': 3,
        'param_scheduler': [schedule]
    }
    if 'Momentum' in schedule['type']:
        options['optim_wrapper.optimizer'] = dict(
            _delete_=True,
            type='SGD',
            lr=0.01,
            momentum=0.9,
            weight_decay=0.01)
    work = str(tmp_path)
    train(project.config, work, cfg_options=options, no_test=True)
    (tmp_path / 'epoch_3.pth').unlink()
    train(
        project.config, work, cfg_options=options, resume='auto', no_test=True)
    assert (tmp_path / 'epoch_3.pth').exists()


def test_a_new_schedule_for_nothing_is_said(project, work_dir, capsys):
    train(project.config, work_dir, new_schedule=True, no_test=True)
    assert 'has no effect, as nothing is resumed' in capsys.readouterr().err
