import logging
import re
import time
from pathlib import Path

import pytest
import torch
from mmengine.logging import print_log
from mmengine.model import BaseModel
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.runner import IterBasedTrainLoop

from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.data import build_loop, set_loader_defaults
from mmcls_repmlp.jobs.shared.runner import JobRunner
from mmcls_repmlp.jobs.shared.runner import _position as position
from mmcls_repmlp.jobs.shared.runner import (build_runner, format_scores,
                                             summarize_test,
                                             summarize_training)
from mmcls_repmlp.jobs.testing.test import test as run_test
from mmcls_repmlp.jobs.train.train import train
from repmlp_lite.console import Progress, close_all, say


class Model(BaseModel):

    def forward(self, *args, **kwargs):
        return None


@pytest.fixture
def runner_of(work_dir):
    """Build a runner of a class whose logger is its own."""
    close_all()
    yield lambda kind: kind(Model(), work_dir, experiment_name=work_dir)
    close_all()


def test_the_screen_has_what_is_said_and_warnings(runner_of, capsys):
    say('an early line')
    runner = runner_of(JobRunner)
    noise = '"FileClient" will be deprecated in future. Please use io'
    for text, level in (('a detail', logging.INFO), (noise, logging.WARNING),
                        ('odd', logging.WARNING), ('bad', logging.ERROR)):
        print_log(text, 'current', level)
    say('a line')
    assert capsys.readouterr() == ('an early line\na line\n',
                                   'warning: odd\nerror: bad\n')
    log = Path(runner.logger.log_file).read_text()
    assert 'System environment' in log
    for text in ('an early line', 'a detail', 'odd', 'bad', 'a line'):
        assert log.count(f'{text}\n') == 1, text


def test_frozen_parameters_are_no_warning(runner_of, capsys):
    runner = runner_of(JobRunner)
    runner.model.frozen = torch.nn.Linear(2, 2).requires_grad_(False)
    runner.model.head = torch.nn.Linear(2, 2)
    DefaultOptimWrapperConstructor(
        dict(optimizer=dict(type='SGD', lr=1.)), dict(bias_lr_mult=2.))(
            runner.model)
    assert capsys.readouterr().err == ''


def test_a_verbose_screen_has_the_log_and_nothing_twice(runner_of, capsys):
    runner_of(type('JobRunner', (JobRunner, ), dict(verbose=True)))
    print_log('a detail', 'current')
    print_log('odd', 'current', logging.WARNING)
    say('a line')
    out, err = capsys.readouterr()
    assert not err and 'System environment' in out
    assert re.search(r'INFO.* - a detail\n.*WARNING.* - odd\na line\n$', out)


def test_runs_of_one_second_share_nothing(project, work_dir, monkeypatch):
    second = time.time()
    monkeypatch.setattr(time, 'time', lambda: second)
    cfg = read_config(project.config, dict(work_dir=work_dir))
    runners = [build_runner(cfg) for _ in range(3)]
    for name in ('logger', 'message_hub', 'visualizer', 'timestamp',
                 'experiment_name'):
        one, two, three = (getattr(runner, name) for runner in runners)
        assert one != two != three != one, name
    logs = {Path(runner.logger.log_file) for runner in runners}
    assert len(logs) == 3 and all(log.is_file() for log in logs)


def test_a_training_is_told_in_lines(project, work_dir, capsys, monkeypatch):
    # As if a minute passed between any two lines.
    monkeypatch.setattr(Progress, 'is_due', lambda progress: True)
    train(project.config, work_dir, seed=0, verbose=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        'model', 'data', 'classes', 'schedule', 'optimizer', 'start', 'seed',
        'device', 'log', 'epoch', 'epoch', 'trained', 'curves', 'the',
        'testing', 'tested', 'most', 'results:'
    ]
    for number, line in enumerate(lines[9:11], 1):
        assert re.fullmatch(
            rf'epoch {number}/2, loss \d\.\d{{4}}, '
            r'accuracy/top1 \d+\.\d{4}', line)
    assert lines[13] == f'the last checkpoint is {work_dir}/epoch_2.pth'
    log = Path(lines[8].split()[1]).read_text()
    for part in ('System environment', 'Epoch(train)', 'Epoch(val)',
                 *lines[:14]):
        assert part in log


def test_a_bar_and_an_early_stop(project, work_dir, capsys, terminal):
    hook = dict(
        type='EarlyStoppingHook',
        monitor='accuracy/top1',
        patience=1,
        min_delta=101)
    options = {'train_cfg.max_epochs': 3, 'custom_hooks': [hook]}
    train(project.config, work_dir, cfg_options=options, verbose=False)
    drawn = terminal.getvalue()
    assert re.search(r'training .*6/9, [\d.e+]+ images/s, loss \d\.\d+', drawn)
    assert ' left' in drawn
    out = capsys.readouterr().out
    # Of many validations in a minute the last has a line.
    assert re.findall(r'\nepoch (\d/\d), loss', out) == ['2/3']
    assert re.search(r'\ntrained in [\d:]+, stopped early after epoch 2/3',
                     out)


def test_a_test_is_told_in_lines(project, work_dir, capsys, terminal):
    run_test(project.config, project.trained, work_dir=work_dir, verbose=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        'model', 'weights', 'data', 'classes', 'device', 'log', 'tested',
        'most', 'results:'
    ]
    assert re.fullmatch(
        r'tested 20 images in 0:00:\d\d: accuracy/top1 \d+\.\d{4}', lines[6])
    assert re.search(r'testing .*2/2, [\d.e+]+ images/s', terminal.getvalue())


def rows(lines):
    return dict(line.split(maxsplit=1) for line in lines)


def test_summaries(project, work_dir, digits, monkeypatch):
    monkeypatch.setattr('torch.get_num_threads', lambda: 1)
    options = {'work_dir': work_dir, 'train_cfg.max_epochs': 1}
    cfg = read_config(project.config, options)
    set_loader_defaults(cfg)
    runner = build_runner(cfg, verbose=False)
    for name in ('train', 'val', 'test'):
        build_loop(runner, name)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    count = sum(weight.numel() for weight in runner.model.parameters())
    shared = dict(
        model=f'RepMLPNet, training form, {count / 1e6:.2f} M parameters, '
        '32x32 pixels',
        classes='10: 0, 1, 2, ...',
        device='cpu, 1 thread',
        log=runner.logger.log_file)
    assert rows(summarize_test(runner, 'a.pth')) == dict(
        shared, weights='a.pth', data=f'20 images to test on, in {digits}/val')
    expected = dict(
        shared,
        data=f'40 images to train on, 20 to validate, in {digits}/train',
        schedule='1 epoch of 3 iterations, batches of 16',
        optimizer='AdamW, learning rate up to 0.002',
        start='from new weights',
        seed='0')
    assert rows(summarize_training(runner)) == expected
    assert position(runner) == 'epoch 0/1'
    runner._load_from = 'a.pth'
    for resume, words in ((True, 'resuming'), (False, 'weights of')):
        runner._resume = resume
        assert rows(summarize_training(runner))['start'] == f'{words} a.pth'
    runner._train_loop = IterBasedTrainLoop(runner, runner.train_dataloader, 2)
    assert rows(summarize_training(
        runner))['schedule'] == '2 iterations, batches of 16'
    assert position(runner) == 'iteration 0/2'
    metrics = dict(a=1, b=torch.ones(2), time=2., c=0.25)
    assert format_scores(metrics) == 'a 1.0000, b [1.0000, 1.0000], c 0.2500'
    assert format_scores(dict(a=[1, 2., 3, 4], b='text',
                              c=[None])) == ('a [1.0000, 2.0000, 3.0000, ...]')


@pytest.mark.parametrize(('steps', 'processes', 'rate'), [(1, 1, 0.25),
                                                          (4, 1, 1.),
                                                          (4, 2, 2.)])
def test_the_rate_is_scaled_with_the_images_of_a_step(steps, processes, rate):
    runner = object.__new__(JobRunner)
    vars(runner).update(
        _train_dataloader=dict(batch_size=16),
        _world_size=processes,
        param_schedulers=None,
        logger=logging.getLogger('a'))
    wrapper = OptimWrapper(
        torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.),
        accumulative_counts=steps)
    runner.scale_lr(wrapper, dict(base_batch_size=64, enable=False))
    assert wrapper.get_lr()['lr'] == [1.]
    runner.scale_lr(wrapper, dict(base_batch_size=64, enable=True))
    assert wrapper.get_lr()['lr'] == [rate]
