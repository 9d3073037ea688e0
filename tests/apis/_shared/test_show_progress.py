import re
from pathlib import Path

import pytest
import torch

from mmcls_repmlp.apis._shared.progress import Progress
from mmcls_repmlp.apis._shared.show_progress import scores
from mmcls_repmlp.apis.test import test as run_test
from mmcls_repmlp.apis.train import train
from tests.tools.test_tools import call


@pytest.fixture
def slow(monkeypatch):
    """As if a minute passed between any two lines."""
    monkeypatch.setattr(Progress, 'is_due', lambda progress: True)


def test_a_training_is_told_in_lines(project, work_dir, capsys, slow):
    train(project.config, work_dir, seed=0, verbose=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        'model', 'data', 'classes', 'schedule', 'optimizer', 'start', 'seed',
        'device', 'log', 'epoch', 'epoch', 'trained', 'the'
    ]
    for number, line in enumerate(lines[9:11], 1):
        assert re.fullmatch(
            rf'epoch {number}/2, loss \d\.\d{{4}}, '
            r'accuracy/top1 \d+\.\d{4}', line)
    assert lines[-1] == f'the last checkpoint is {work_dir}/epoch_2.pth'
    log = Path(lines[8].split()[1]).read_text()
    for part in ('System environment', 'Epoch(train)', 'Epoch(val)'):
        assert part in log


def test_of_many_validations_in_a_minute_the_last_has_a_line(
        project, work_dir, capsys):
    train(project.config, work_dir, seed=0, verbose=False)
    said = capsys.readouterr().out
    assert re.findall(r'^epoch (\d/\d), loss', said, re.MULTILINE) == ['2/2']


def test_a_bar_with_loss_speed_and_time_left(project, work_dir, terminal):
    train(
        project.config,
        work_dir,
        cfg_options={'train_cfg.max_epochs': 1},
        verbose=False)
    said = terminal.getvalue()
    assert re.search(r'training .*3/3, [\d.e+]+ images/s, loss \d\.\d+', said)
    assert ' left' in said


def test_iterations_are_counted_where_there_are_no_epochs(
        project, work_dir, capsys, slow):
    train(
        project.config,
        work_dir,
        cfg_options={
            'train_cfg': dict(
                type='IterBasedTrainLoop',
                max_iters=2,
                val_interval=1,
                _delete_=True),
            'default_hooks.checkpoint.by_epoch': False
        },
        verbose=False)
    said = capsys.readouterr().out
    assert '\nschedule  2 iterations, batches of 16\n' in said
    assert re.findall(r'^iteration (\d/\d), loss', said,
                      re.MULTILINE) == ['1/2', '2/2']


def test_an_early_stop_is_told_and_can_be_resumed(project, work_dir, capsys):
    epochs = {'train_cfg.max_epochs': 3}
    hook = dict(
        type='EarlyStoppingHook',
        monitor='accuracy/top1',
        patience=1,
        min_delta=101)
    train(
        project.config,
        work_dir,
        cfg_options={
            **epochs, 'custom_hooks': [hook]
        },
        verbose=False)
    said = capsys.readouterr().out
    assert re.search(r'^trained in [\d:]+, stopped early after epoch 2/3$',
                     said, re.MULTILINE)
    train(
        project.config,
        work_dir,
        resume='auto',
        cfg_options=epochs,
        verbose=False)
    said = capsys.readouterr().out
    assert 'epoch 3/3, loss' in said and 'stopped early' not in said


def test_a_test_is_told_in_lines(project, work_dir, capsys, terminal):
    results = run_test(
        project.config, project.trained, work_dir=work_dir, verbose=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        'model', 'weights', 'data', 'classes', 'device', 'log', 'tested'
    ]
    assert lines[-1].endswith(
        f': accuracy/top1 {results["accuracy/top1"]:.4f}')
    assert 'tested 20 images in 0:00:0' in lines[-1]
    assert re.search(r'testing .*2/2, [\d.e+]+ images/s', terminal.getvalue())


@pytest.mark.parametrize('verbose', [True, False])
def test_the_tools_say_all_only_if_they_are_asked(project, work_dir, capsys,
                                                  verbose):
    assert call('test.py', project.config, project.trained, '--work-dir',
                work_dir, *['--verbose'] * verbose) == 0
    out = capsys.readouterr().out
    assert ('System environment' in out) == verbose
    assert ('tested 20 images' in out) != verbose
    assert 'accuracy/top1' in out


def test_what_is_no_number_is_left_to_the_log():
    assert scores({
        'a': 1,
        'b': torch.ones(2),
        'time': 2.,
        'c': 0.25
    }) == 'a 1.0000, c 0.2500'
