import json
from pathlib import Path

import pytest
from PIL import Image

from mmcls_repmlp.jobs.train import train as module
from mmcls_repmlp.jobs.train.curves import read_curves, write_curves
from mmcls_repmlp.jobs.train.train import train
from repmlp_lite.errors import JobFailedError


def row(iteration, loss, epoch=1):
    times = dict(lr=0.1, time=0.5, data_time=0.1)
    return dict(times, loss=loss, epoch=epoch, iter=iteration, step=iteration)


def score(epoch, accuracy):
    return dict({'accuracy/top1': accuracy}, matrix=[[1]], time=9., step=epoch)


FIRST = [row(10, 2.), row(20, 0.5), score(1, 70.), row(30, 1., 2)]


@pytest.fixture
def log(tmp_path):
    """Write the log of a run, whose folder is named after its start."""

    def write(name, rows, more=''):
        folder = tmp_path / name / 'vis_data'
        folder.mkdir(parents=True)
        (folder / 'scalars.json').write_text('\n'.join(
            [*map(json.dumps, rows), more]))

    return write


def test_steps_of_training_by_iterations(log, tmp_path):
    rows = dict(loss=2., iter=9, step=9), dict(accuracy=70., step=9)
    log('1', rows, more='{"loss": 1.')  # was cut off
    assert read_curves(tmp_path) == {
        'loss': ([9], [2.], 'iteration'),
        'accuracy': ([9], [70.], 'iteration')
    }


def test_a_resumed_run_is_one_curve(log, tmp_path):
    later = [row(30, 3., 2), score(2, 80.), row(40, 4., 3)]
    log('20260102', later)  # from the checkpoint of epoch 1
    log('20260103', [dict({'accuracy/top1': 5.}, step=0)])  # a test
    log('20260101', [*FIRST, row(40, 9., 2), score(2, 9.)])
    assert read_curves(tmp_path) == {
        'loss': ([10, 20, 30, 40], [2., 0.5, 3., 4.], 'iteration'),
        'accuracy/top1': ([1, 2], [70., 80.], 'epoch')
    }
    log('20260104', [row(10, 1.)])  # not resumed
    assert read_curves(tmp_path) == {'loss': ([10], [1.], 'iteration')}


def test_curves_are_drawn(log, tmp_path, figures, capsys):
    log('1', FIRST)
    (tmp_path / 'curves.png').write_text('old')
    write_curves(tmp_path)
    with Image.open(tmp_path / 'curves.png') as picture:
        assert picture.format == 'PNG' and min(picture.size) > 400
    losses, accuracy = figures[0].axes
    assert losses.lines[0].get_ydata().tolist() == [2., 0.5, 1.]
    assert losses.get_xlabel() == 'iteration' and losses.get_ylabel() == 'loss'
    assert accuracy.lines[0].get_xdata().tolist() == [1]
    assert accuracy.get_xlabel() == 'epoch'
    assert capsys.readouterr().out == (
        f'curves are drawn to {tmp_path}/curves.png\n')


def test_a_failure_is_a_warning(log, tmp_path, capsys):
    write_curves(tmp_path)  # there is no log
    assert not any(tmp_path.iterdir())
    log('1', FIRST)
    (tmp_path / 'curves.png').mkdir()
    write_curves(tmp_path)
    out, err = capsys.readouterr()
    assert not out and err.startswith(
        f'warning: {tmp_path}/curves.png cannot be drawn: ')


def test_a_training_leaves_curves(project):
    assert (project.work_dir / 'curves.png').is_file()
    curves = read_curves(project.work_dir)
    assert curves['loss'].unit == 'iteration'
    steps, values, unit = curves['accuracy/top1']
    assert steps == [1, 2] and len(values) == 2 and unit == 'epoch'


@pytest.mark.parametrize('error', [RuntimeError, KeyboardInterrupt])
def test_a_training_that_ends_early_leaves_them_too(project, work_dir,
                                                    monkeypatch, error):

    def fail(runner):
        raise error('stopped')

    monkeypatch.setattr('mmengine.runner.Runner.train', fail)
    monkeypatch.setattr(module, 'write_curves',
                        lambda folder: Path(folder, 'drawn').touch())
    with pytest.raises((JobFailedError, KeyboardInterrupt)):
        train(project.config, work_dir)
    assert Path(work_dir, 'drawn').is_file()
