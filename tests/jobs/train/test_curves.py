import json

import pytest
from PIL import Image

from mmcls_repmlp.jobs.train.curves import analyze_logs, read_log
from repmlp_lite.errors import UserError

ROWS = [
    dict(loss=2., time=0.5, data_time=0.1, lr=0.1, epoch=1, iter=10, step=10),
    dict(loss=0.5, time=0.2, data_time=0.1, lr=0.2, epoch=1, iter=20, step=20),
    dict({'accuracy/top1': 70.}, time=9., data_time=8., step=1),
    dict(loss=1., time=0.3, data_time=0.2, lr=0.3, epoch=2, iter=30, step=30),
    dict({'accuracy/top1': 60.}, matrix=[[1, 2]], time=9., step=2),
]


def write(folder, rows=ROWS, more=''):
    """Write a log, by default one of two epochs."""
    path = folder / 'scalars.json'
    path.write_text('\n'.join([*map(json.dumps, rows), more]))
    return path


@pytest.mark.parametrize('still_being_written', ['', '{"loss": 1.'])
def test_curves_are_read_with_their_units(tmp_path, still_being_written):
    assert read_log(write(tmp_path, more=still_being_written)) == {
        'loss': ([10, 20, 30], [2., 0.5, 1.], 'iteration', False),
        'time': ([10, 20, 30], [0.5, 0.2, 0.3], 'iteration', False),
        'data_time': ([10, 20, 30], [0.1, 0.1, 0.2], 'iteration', False),
        'lr': ([10, 20, 30], [0.1, 0.2, 0.3], 'iteration', False),
        'accuracy/top1': ([1, 2], [70., 60.], 'epoch', True)
    }


def test_steps_of_training_by_iterations(tmp_path):
    rows = [dict(loss=2., iter=9, step=9), dict(accuracy=70., step=9)]
    log = write(tmp_path, rows)
    assert read_log(log)['accuracy'] == ([9], [70.], 'iteration', True)


def test_summary(tmp_path):
    log, lines = write(tmp_path), []
    analyze_logs([log], report=lines.append)
    analyze_logs([log], keys=['lr'], legend=['mine'], report=lines.append)
    time = ('  time per iteration: 0.3000 s, of which 0.1000 s waiting for '
            'data (medians)')
    assert lines == [
        f'{log}\n'
        '  loss           last 1 (iteration 30), best 0.5 (iteration 20)\n'
        f'  accuracy/top1  last 60 (epoch 2), best 70 (epoch 1)\n{time}',
        f'mine\n  lr  last 0.3 (iteration 30)\n{time}'
    ]


def test_curves_are_drawn(tmp_path, figures):
    logs, out = [write(tmp_path)] * 2, tmp_path / 'new' / 'curves.png'
    analyze_logs(logs, out, ['loss', 'accuracy/top1'], ['a', 'b'])
    with Image.open(out) as picture:
        assert picture.size == (840, 720)
    losses, accuracy = figures[0].axes
    assert [line.get_label() for line in losses.lines] == ['a', 'b']
    assert losses.lines[1].get_ydata().tolist() == [2., 0.5, 1.]
    assert accuracy.lines[0].get_xdata().tolist() == [1, 2]
    assert losses.get_xlabel() == 'iteration'
    assert accuracy.get_xlabel() == 'epoch'


def test_the_log_of_a_real_training(project, capsys):
    analyze_logs([*project.work_dir.glob('*/vis_data/scalars.json')])
    said = capsys.readouterr().out
    assert 'accuracy/top1  last ' in said and '(epoch 2)' in said


@pytest.mark.parametrize(('content', 'message'),
                         [(b'', 'is empty'),
                          (b'hello', 'is no log of mmengine, see its line 1'),
                          (b'[1]\n', 'is no log of mmengine'),
                          (b'{"a": 1}\n', 'is no log'),
                          (b'{"step": 1}\nx\n{"step": 2}\n', 'see its line 2'),
                          (b'\xff\xfe\x00', 'cannot be read')])
def test_what_is_no_log(tmp_path, content, message):
    path = tmp_path / 'log.json'
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_log(path)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [(dict(logs=['no.json']), "'no.json' cannot be read"),
     (dict(keys=['acc']),
      "has no 'acc': it has accuracy/top1, data_time, loss, lr, time"),
     (dict(legend=['a', 'b']), '2 names in the legend for 1 logs'),
     (dict(out='a.jpg'), 'wrong suffix for the curves'),
     (dict(out='old.png'), 'exists.*force=True')])
def test_wrong_arguments(old, arguments, message):
    log = write(old.parent)
    with pytest.raises(UserError, match=message):
        analyze_logs(**dict(logs=[log]) | arguments)
