import re
from pathlib import Path

import pytest
import torch

from mmcls_repmlp.jobs.shared.show_progress import scores
from mmcls_repmlp.jobs.train.train import train
from repmlp_lite.console import Progress
from tests.programs import call


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
    said = capsys.readouterr().out
    # Of many validations in a minute the last has a line.
    assert re.findall(r'^epoch (\d/\d), loss', said, re.MULTILINE) == ['2/3']
    assert re.search(r'^trained in [\d:]+, stopped early after epoch 2/3$',
                     said, re.MULTILINE)


def test_iterations_are_counted_where_there_are_no_epochs(
        project, work_dir, capsys, slow):
    loop = dict(
        type='IterBasedTrainLoop', max_iters=2, val_interval=1, _delete_=True)
    options = {'train_cfg': loop, 'default_hooks.checkpoint.by_epoch': False}
    train(project.config, work_dir, cfg_options=options, verbose=False)
    said = capsys.readouterr().out
    assert '\nschedule  2 iterations, batches of 16\n' in said
    assert re.findall(r'^iteration (\d/\d), loss', said,
                      re.MULTILINE) == ['1/2', '2/2']


def test_a_test_is_told_in_lines(project, work_dir, capsys, terminal):
    assert call('test.py', project.config, project.trained, '--work-dir',
                work_dir) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        'model', 'weights', 'data', 'classes', 'device', 'log', 'tested'
    ]
    assert re.fullmatch(
        r'tested 20 images in 0:00:\d\d: accuracy/top1 \d+\.\d{4}', lines[-1])
    assert re.search(r'testing .*2/2, [\d.e+]+ images/s', terminal.getvalue())


def test_a_tool_says_all_if_it_is_asked(project, work_dir, capsys):
    assert call('test.py', project.config, project.trained, '--work-dir',
                work_dir, '--verbose') == 0
    out = capsys.readouterr().out
    assert 'System environment' in out and 'accuracy/top1' in out
    assert 'tested 20 images' not in out


def test_what_is_no_number_is_left_to_the_log():
    found = dict(a=1, b=torch.ones(2), time=2., c=0.25)
    assert scores(found) == 'a 1.0000, c 0.2500'
