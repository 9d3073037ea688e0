import json

import pytest
from PIL import Image

from mmcls_repmlp.apis.analyze_logs import analyze_logs, read_log
from mmcls_repmlp.errors import UserError

ROWS = [
    dict(loss=2., time=0.5, data_time=0.1, lr=0.1, epoch=1, iter=10, step=10),
    dict(loss=0.5, time=0.2, data_time=0.1, lr=0.2, epoch=1, iter=20, step=20),
    {
        'accuracy/top1': 70.,
        'time': 9.,
        'data_time': 8.,
        'step': 1
    },
    dict(loss=1., time=0.3, data_time=0.2, lr=0.3, epoch=2, iter=30, step=30),
    {
        'accuracy/top1': 60.,
        'matrix': [[1, 2]],
        'time': 9.,
        'step': 2
    },
]


@pytest.fixture
def log(tmp_path):
    path = tmp_path / 'scalars.json'
    path.write_text(''.join(json.dumps(row) + '\n' for row in ROWS))
    return path


def test_curves_are_read_with_their_units(log):
    curves = read_log(log)
    assert curves.keys() == {
        'loss', 'time', 'data_time', 'lr', 'accuracy/top1'
    }
    assert curves['loss'] == ([10, 20, 30], [2., 0.5, 1.], 'iteration', False)
    assert curves['accuracy/top1'] == ([1, 2], [70., 60.], 'epoch', True)
    assert curves['time'].values == [0.5, 0.2, 0.3]


def test_steps_of_training_by_iterations(tmp_path):
    path = tmp_path / 'scalars.json'
    rows = [
        dict(loss=2., iter=10, step=10), {
            'accuracy/top1': 70.,
            'step': 10
        }
    ]
    path.write_text('\n'.join(map(json.dumps, rows)))
    assert read_log(path)['accuracy/top1'].unit == 'iteration'


def test_summary(log):
    lines = []
    analyze_logs([log], report=lines.append)
    assert lines[0].splitlines() == [
        str(log),
        '  loss           last 1 (iteration 30), best 0.5 (iteration 20)',
        '  accuracy/top1  last 60 (epoch 2), best 70 (epoch 1)',
        '  time per iteration: 0.3000 s, of which 0.1000 s waiting for data '
        '(medians)'
    ]
    analyze_logs([log], keys=['lr'], legend=['mine'], report=lines.append)
    assert lines[1].splitlines()[:2] == [
        'mine', '  lr  last 0.3 '
        '(iteration 30)'
    ]


def test_curves_are_drawn(log, tmp_path, figures):
    out = tmp_path / 'new' / 'curves.png'
    analyze_logs([log, log],
                 out, ['loss', 'accuracy/top1'], ['a', 'b'],
                 report=lambda text: None)
    with Image.open(out) as picture:
        assert picture.size == (840, 720)
    figure, = figures
    losses, accuracy = figure.axes
    assert [line.get_label() for line in losses.lines] == ['a', 'b']
    assert losses.lines[1].get_ydata().tolist() == [2., 0.5, 1.]
    assert accuracy.lines[0].get_xdata().tolist() == [1, 2]
    assert [axes.get_xlabel()
            for axes in figure.axes] == ['iteration', 'epoch']


def test_the_log_of_a_real_training(project):
    log, = project.work_dir.glob('*/vis_data/scalars.json')
    lines = []
    analyze_logs([log], report=lines.append)
    assert 'accuracy/top1  last ' in lines[0] and '(epoch 2)' in lines[0]


def test_a_line_that_is_still_being_written(log):
    log.write_text(log.read_text() + '{"loss": 1.')
    assert read_log(log)['loss'].values == [2., 0.5, 1.]


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
        analyze_logs([path])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [(dict(logs=['no.json']), "'no.json' cannot be read"),
     (dict(keys=['acc']),
      "has no 'acc': it has accuracy/top1, data_time, loss, lr, time"),
     (dict(legend=['a', 'b']), '2 names in the legend for 1 logs'),
     (dict(out='a.jpg'), 'wrong suffix for the curves'),
     (dict(out='there.png'), 'exists.*force=True')])
def test_wrong_arguments(log, tmp_path, arguments, message):
    (tmp_path / 'there.png').write_text('precious')
    if 'out' in arguments:
        arguments = dict(out=tmp_path / arguments['out'])
    with pytest.raises(UserError, match=message):
        analyze_logs(**{'logs': [log], **arguments})
    assert (tmp_path / 'there.png').read_text() == 'precious'
