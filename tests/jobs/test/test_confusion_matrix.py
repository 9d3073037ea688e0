import csv
import shutil

import numpy as np
import pytest
import torch
from mmengine.model import BaseModel
from PIL import Image

from mmcls_repmlp.host import MODELS, gt_labels
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.data import open_loader
from mmcls_repmlp.jobs.test.confusion_matrix import confusion_matrix
from repmlp_lite.errors import UserError
from tests.helpers import load_model


@pytest.fixture(scope='module')
def expected(project):
    """Counts of the model alone, image by image."""
    model = load_model(project.config, project.trained)
    counts = torch.zeros(10, 10, dtype=torch.long)
    for sample in open_loader(read_config(project.config), 'test').dataset:
        with torch.no_grad():
            scores = model((sample['inputs'][None].float() - 78) / 96)
        counts[gt_labels(sample['data_samples']), scores.argmax()] += 1
    assert counts.sum() > counts.trace() > 0
    return counts


def test_counts_of_both_forms(project, expected, tmp_path, terminal, capsys):
    table = tmp_path / 'a.csv'
    for model in ((project.deploy_config, project.merged), (project.config,
                                                            project.trained)):
        matrix = confusion_matrix(*model, table, force=True)
        assert matrix.sum(1).equal(expected.sum(1))
        # One image may hang in the balance, which rounding decides.
        assert abs(matrix - expected).sum() <= 2, (matrix, expected)
    with open(table, newline='') as file:
        head, *rows = csv.reader(file)
    assert head == ['true \\ predicted', *'0123456789']
    assert [[int(cell) for cell in row[1:]] for row in rows] == matrix.tolist()
    assert '2/2' in terminal.getvalue()
    assert f'written to {table}\n' in capsys.readouterr().out


@MODELS.register_module()
class FirstPixel(BaseModel):
    """Takes an image for the class that its first pixel names."""

    def __init__(self, outputs, data_preprocessor=None):
        super().__init__(data_preprocessor)
        self.outputs = outputs
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs, data_samples, mode):
        scores = torch.eye(self.outputs)[inputs[:, 0, 0, 0].long()]
        for sample, score in zip(data_samples, scores):
            sample.set_pred_score(score).set_pred_label(int(score.argmax()))
        return data_samples


@pytest.fixture
def count(project, tmp_path, capsys):
    """Run the job on an image for every pair (true class, class said)."""

    def run(names, pairs, outputs=None, **job):
        for i, (true, said) in enumerate(pairs):
            folder = tmp_path / 'val' / names[true]
            folder.mkdir(parents=True, exist_ok=True)
            Image.new('L', (32, 32), said).save(folder / f'{i}.png')
        model = dict(type='FirstPixel', outputs=outputs or len(names))
        options = {
            'model': dict(model, _delete_=True),
            'data_preprocessor': dict(
                type='ClsDataPreprocessor', _delete_=True),
            'test_dataloader.dataset.data_root': str(tmp_path)
        }
        torch.save(dict(weight=torch.zeros(1)), tmp_path / 'a.pth')
        confusion_matrix(
            project.config, tmp_path / 'a.pth', cfg_options=options, **job)
        return capsys.readouterr().out

    return run


def test_what_is_reported(count):
    pairs = [(0, 0)] * 5 + [(0, 2)] * 2 + [(1, 1)] * 3 + [(2, 0)]
    said = count(['cat', 'dog', 'ox'], pairs)
    assert said == ('11 images, top-1 72.73 %\n'
                    'true class in rows, predicted class in columns:\n'
                    '     cat dog  ox\n cat   5   0   2\n dog   0   3   0\n'
                    '  ox   1   0   0\n'
                    'cat taken for ox: 2 of 7\nox taken for cat: 1 of 1\n')


PICTURES = [(20, None, True), (21, None, False), (21, True, True),
            (50, False, False), (51, True, False)]


@pytest.mark.parametrize(('classes', 'values', 'shown'), PICTURES)
def test_the_picture_says_what_it_shows(count, tmp_path, figures, classes,
                                        values, shown):
    pairs, out = [*zip(range(classes), range(classes))], tmp_path / 'a.png'
    said = count([f'class {i:02}' for i in range(classes)],
                 pairs + [(3, 4)] * 7,
                 out=out,
                 include_values=values)
    share = 100 * classes / (classes + 7)
    head, *table, confused, _ = said.splitlines()
    assert head == f'{classes + 7} images, top-1 {share:.2f} %'
    assert bool(table) is (classes <= 20)
    assert confused == 'class 03 taken for class 04: 7 of 8'
    with Image.open(out) as picture:
        assert picture.format == 'PNG' and min(picture.size) > 400
    cells, bar = figures[0].axes
    assert cells.get_title() == head
    assert bool(len(cells.get_xticks())) is (classes <= 50)
    counts = np.eye(classes, dtype=int)
    counts[3, 4] = 7
    assert [int(text.get_text())
            for text in cells.texts] == counts.flatten().tolist() * shown
    assert bar.get_ylabel() == 'images'
    assert all(tick == int(tick) for tick in bar.get_yticks())


def test_outputs_without_a_name(count):
    assert 'cat taken for class 2: 1 of 2' in count(['cat'], [(0, 0), (0, 2)],
                                                    outputs=3)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [(dict(checkpoint='pred.pkl'), 'can run code: give the checkpoint'),
     (dict(out='a.txt'), 'wrong suffix for a matrix: end it in .png or .csv'),
     (dict(out='old.png'), 'force=True'),
     (dict(cfg_options=dict(test_dataloader=None)), 'no test_dataloader'),
     (dict(device='toaster'), "device 'toaster' cannot be used here")])
def test_wrong_arguments(project, old, arguments, message):
    job = dict(config=project.config, checkpoint=project.trained)
    with pytest.raises(UserError, match=message):
        confusion_matrix(**job | arguments)


def test_a_missing_class_does_not_move_the_others(project, expected, data):
    shutil.rmtree(data / 'val' / '3')
    job = dict(
        config=project.config,
        checkpoint=project.trained,
        cfg_options={'test_dataloader.dataset.data_root': str(data)})
    others, said = torch.arange(10)[:, None] != 3, []
    found = confusion_matrix(**job, report=said.append)
    assert found.equal(expected * others)
    assert said[0].splitlines()[2].split() == [*'0123456789']
    (data / 'val' / '4').rename(data / 'val' / 'cat')
    with pytest.raises(UserError, match=r'1 of the 9 classes .*\(cat\)'):
        confusion_matrix(**job)
