import shutil

import numpy as np
import pytest

from mmcls_repmlp.apis._shared import write_int8 as quantize
from mmcls_repmlp.apis._shared.write_int8 import Scores
from mmcls_repmlp.apis.confusion_matrix import confusion_matrix
from mmcls_repmlp.apis.export import export_checkpoint
from mmcls_repmlp.deploy.exported.load_exported import load_artefact
from mmcls_repmlp.errors import JobFailedError, UserError

pytestmark = pytest.mark.filterwarnings('ignore')


def export(project, out, **kwargs):
    lines = []
    export_checkpoint(
        project.config,
        project.trained,
        out,
        report=lines.append,
        **{
            **dict(precision='int8', calibrate=project.data / 'train'),
            **kwargs
        })
    return '\n'.join(lines)


@pytest.mark.parametrize('raw', [False, True])
def test_accuracy_is_reported_before_and_after(project, tmp_path, raw,
                                               monkeypatch):
    # The quick model guesses, so that a point lost tells nothing.
    monkeypatch.setattr(quantize, '_ALLOWED_LOSS', 100.)
    out = tmp_path / 'a.onnx'
    report = export(project, out, with_preprocess=raw)
    assert '% in float32' in report
    assert '% in int8, the same on every processor' in report
    assert callable(load_artefact(out))
    assert {p.name for p in tmp_path.iterdir()} == {'a.onnx', 'a.onnx.json'}


def test_raw_and_normalised_images_score_the_same(project, tmp_path,
                                                  monkeypatch):
    monkeypatch.setattr(quantize, '_ALLOWED_LOSS', 100.)
    before = [
        export(project, tmp_path / f'{raw}.onnx', with_preprocess=raw).split(
            'test data: ')[1].split(' % in float32')[0]
        for raw in (False, True)
    ]
    assert before[0] == before[1]


@pytest.mark.parametrize(
    ('scores', 'message'),
    [(Scores(90., 80., 90., 0.), 'int8 loses 10.00 points'),
     (Scores(90., 90., 85., 0.), 'int8 loses 5.00 points'),
     (Scores(90., 90., 90., .2), 'away from exact integers'),
     (Scores(90., 90., 90., float('nan')), 'away from exact integers')])
def test_nothing_is_written_when_too_much_is_lost(project, tmp_path,
                                                  monkeypatch, scores,
                                                  message):
    monkeypatch.setattr(quantize, '_score', lambda *_: scores)
    with pytest.raises(JobFailedError, match=message):
        export(project, tmp_path / 'a.onnx')
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(('kwargs', 'message'),
                         [(dict(calibrate=None), 'go together'),
                          (dict(precision='fp32'), 'go together'),
                          (dict(calibrate='/nowhere'),
                           "calibrate '/nowhere' cannot be read: .*No such")])
def test_wrong_arguments(project, tmp_path, kwargs, message):
    with pytest.raises(UserError, match=message):
        export(project, tmp_path / 'a.onnx', **kwargs)
    with pytest.raises(UserError, match='only .onnx'):
        export(project, tmp_path / 'a.pt')
    assert not any(tmp_path.iterdir())


def test_labels_are_those_of_the_checkpoint(project, tmp_path, monkeypatch):
    monkeypatch.setattr(quantize, '_ALLOWED_LOSS', 100.)
    shutil.copytree(project.data / 'val', tmp_path / 'data' / 'val')
    shutil.rmtree(tmp_path / 'data' / 'val' / '3')
    options = {'test_dataloader.dataset.data_root': str(tmp_path / 'data')}
    matrix = confusion_matrix(
        project.config, project.trained, report=lambda _: None)
    matrix = matrix.clone()  # made in inference mode
    matrix[3] = 0
    top1 = 100 * int(matrix.trace()) / int(matrix.sum())
    assert f' {top1:.2f} % in float32' in export(
        project, tmp_path / 'a.onnx', cfg_options=options)


def test_an_image_that_cannot_be_read(project, tmp_path):
    (tmp_path / 'data' / 'a').mkdir(parents=True)
    (tmp_path / 'data' / 'a' / 'b.png').write_text('no image')
    with pytest.raises(JobFailedError, match="^image '.*/a/b.png' cannot be"):
        export(project, tmp_path / 'a.onnx', calibrate=tmp_path / 'data')


def right(*labels):
    """A file that is right wherever the label is one of these."""
    return lambda images: np.stack([[1. if label in labels else 0., .5]
                                    for label in images])


def test_scores_are_of_all_batches():
    batches = [(np.array([1, 2]), np.array([0, 0])),
               (np.array([3]), np.array([0]))]
    scores = quantize._score(right(1, 2, 3), right(1, 2), right(1), batches)
    np.testing.assert_allclose(scores[:3], [100, 200 / 3, 100 / 3])
    assert scores.drift == 1.
