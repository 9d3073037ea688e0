import json
import math

import numpy as np
import pytest
import torch

from mmcls_repmlp.host import SingleLabelMetric
from mmcls_repmlp.jobs.testing.results import write_results


def read(folder):
    return json.loads((folder / 'results.json').read_text())


def test_scores_of_each_class_are_those_of_the_host(tmp_path):
    true = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])
    predicted = torch.tensor([0, 0, 1, 1, 2, 2, 2, 0])
    counts = torch.zeros(3, 3, dtype=torch.int64)
    counts.index_put_((true, predicted), torch.tensor(1), accumulate=True)
    write_results({'accuracy/top1': 62.5}, tmp_path, counts, 'abc')
    found = read(tmp_path)
    assert found['scores'] == {'accuracy/top1': 62.5}
    assert found['images'] == 8
    expected = SingleLabelMetric.calculate(
        predicted, true, num_classes=3, average=None)
    names = 'precision', 'recall', 'f1_score', 'support'
    for name, values in zip(names, expected):
        assert [row[name]
                for row in found['classes']] == pytest.approx(values.tolist())
    assert [row['class'] for row in found['classes']] == ['a', 'b', 'c']


def test_what_cannot_be_divided_or_named_is_null(tmp_path):
    write_results({}, tmp_path, torch.tensor([[2, 0], [0, 0]]), 'a')
    first, second = read(tmp_path)['classes']
    assert first['precision'] == 100
    assert second == {
        'class': None,
        'precision': None,
        'recall': None,
        'f1_score': None,
        'support': 0
    }


def test_scores_of_any_kind_are_json(tmp_path):
    scores = dict(
        a=torch.ones(2), b=np.float32(2), c=math.nan, d=[1, None], e='text')
    write_results(scores, tmp_path, None, ())
    assert read(tmp_path) == dict(
        scores=dict(a=[1., 1.], b=2., c=None, d=[1., 'None'], e='text'))
