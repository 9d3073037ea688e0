import csv

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from PIL import Image

from mmcls_repmlp.host import Accuracy, SingleLabelMetric
from mmcls_repmlp.jobs.testing.confusion_matrix import _draw as draw
from mmcls_repmlp.jobs.testing.confusion_matrix import add_matrix, write_matrix
from mmcls_repmlp.recipe import PairVerification


@pytest.mark.parametrize(
    ('metrics', 'expected'),
    [([Accuracy()], True),
     ([PairVerification(), SingleLabelMetric()], True),
     ([PairVerification()], False)])
def test_only_single_labels_have_a_matrix(metrics, expected):
    evaluator = Evaluator(metrics)
    assert bool(add_matrix(evaluator)) is expected
    assert len(evaluator.metrics) == len(metrics) + expected


def test_files_and_what_is_reported(tmp_path, figures, capsys):
    counts = torch.tensor([[5, 0, 2], [0, 3, 0], [1, 0, 0]])
    (tmp_path / 'confusion_matrix.csv').write_text('old')
    write_matrix(counts, ['a $cat', 'd\x1b猫$ \\frac'], tmp_path)
    table = (tmp_path / 'confusion_matrix.csv').read_text(encoding='utf-8-sig')
    head, *rows = csv.reader(table.splitlines())
    # Outputs without a name are numbered.
    names = ['a $cat', 'd?猫$ \\frac', 'class 2']
    assert head == ['true \\ predicted', *names]
    assert [row[0] for row in rows] == names
    assert [[int(cell) for cell in row[1:]] for row in rows] == counts.tolist()
    assert capsys.readouterr().out == (
        'most confused: a $cat taken for class 2 (2 of 7), '
        'class 2 taken for a $cat (1 of 1)\n')
    with Image.open(tmp_path / 'confusion_matrix.png') as picture:
        assert picture.format == 'PNG' and min(picture.size) > 400


@pytest.mark.parametrize('classes', [20, 21, 50, 51])
def test_the_picture_shows_what_can_be_read(figures, classes):
    counts = torch.eye(classes, dtype=torch.long)
    names = [f'class {i:02}' for i in range(classes)]
    counts[3, 4] = 7
    cells, bar = draw(counts, names).axes
    share = 100 * classes / (classes + 7)
    assert cells.get_title() == f'{classes + 7} images, top-1 {share:.2f} %'
    shown = [label.get_text() for label in cells.get_xticklabels()]
    assert shown == names * (classes <= 50)
    assert np.array_equal(cells.images[0].get_array(), counts)
    assert [int(text.get_text())
            for text in cells.texts] == counts.flatten().tolist() * (
                classes <= 20)
    assert bar.get_ylabel() == 'images'
    assert all(tick == int(tick) for tick in bar.get_yticks())
