import csv
from importlib.metadata import version

import benchmark_models
import candidates
import pytest
import torch
from benchmark_models import benchmark, matmul_gflops
from PIL import Image

from repmlp_lite.errors import UserError
from tests.helpers import TINY


@pytest.fixture(autouse=True)
def ceiling(monkeypatch):
    """A machine's speed, which takes seconds to measure."""
    monkeypatch.setattr(benchmark_models, 'matmul_gflops', lambda _: 100.)


def run(*names, **sizes):
    given = dict(arch=TINY, img_sizes=[32], rounds=2, batches=[1])
    return benchmark(names, **{**given, **sizes})


def test_rows_table_csv_and_chart(tmp_path, figures, capsys):
    rows = run('rc6:deploy', 'ours:fused', batches=[1, 2], out_dir=tmp_path)
    assert [(row.name, row.batch) for row in rows] == [('rc6:deploy', 1),
                                                       ('ours:fused', 1),
                                                       ('rc6:deploy', 2),
                                                       ('ours:fused', 2)]
    for row in rows:
        assert row.images_per_second == pytest.approx(1e3 * row.batch /
                                                      row.milliseconds)
        assert row.gflops > 0 and row.peak_share == row.gflops / 100
    for first, second in (rows[:2], rows[2:]):  # as the medians beside it
        assert first.ratio == first.paired == 1
        assert second.ratio == pytest.approx(first.milliseconds /
                                             second.milliseconds)
    text = capsys.readouterr().out
    assert f'torch {version("torch")}, ' in text and 'threads' in text
    assert all(f'{row.milliseconds:.1f}' in text for row in rows)
    assert [
        line.split()[0] for line in text.splitlines() if ':' in line.split()[0]
    ][:4] == [row.name for row in rows]
    with open(tmp_path / 'benchmark.csv') as file:
        read = list(csv.DictReader(file))
    assert [float(r['ratio']) for r in read] == [row.ratio for row in rows]
    with Image.open(tmp_path / 'benchmark.png') as image:
        assert image.format == 'PNG'
    bars, lines = figures[0].axes
    assert lines.get_xlabel() == 'batch size'
    assert [*lines.get_xticks()] == [1, 2]
    assert bars.get_title().endswith('multiple of rc6:deploy')
    assert bars.get_ylabel() == 'images per second'


def test_peers_are_drawn_by_their_accuracies(tmp_path, figures, monkeypatch,
                                             capsys):
    monkeypatch.setitem(candidates.TOP_1, 'resnet50', 76.1)
    monkeypatch.setitem(candidates.TOP_1, 'convnext-tiny_32xb128_in1k', 82.1)
    names = 'host:resnet50_8xb32_in1k', 'host:convnext-tiny_32xb128_in1k'
    monkeypatch.setitem(candidates.TOP_1, names[0][5:], 76.1)
    rows = run(*names, img_sizes=[64], out_dir=tmp_path)
    assert [row.top_1 for row in rows] == [76.1, 82.1]
    assert ' 82.10' in capsys.readouterr().out
    panel, = figures[0].axes
    assert [text.get_text() for text in panel.texts
            ] == ['resnet50_8xb32_in1k', 'convnext-tiny_32xb128_in1k']
    assert [line.get_ydata()[0] for line in panel.lines] == [76.1, 82.1]


def test_a_training_step_counts_three_times():
    rows = run('ours:train-step', 'ours:train-form')
    work = [row.gflops * row.milliseconds for row in rows]
    assert work[0] == pytest.approx(3 * work[1])


def test_ceiling_is_measured():
    assert matmul_gflops(torch.float32, 64) > 0


@pytest.mark.parametrize(('names', 'sizes', 'message'), [
    (('rc6:fused', 'ours:fused'), {}, 'is not a candidate'),
    (('rc6:deploy', 'ours:fused'), dict(arch='x'), "'x' is not in default"),
    (('rc6:deploy', 'ours:fused'), dict(batches=[0]), 'must be positive'),
])
def test_wrong_arguments(names, sizes, message):
    with pytest.raises(UserError, match=message):
        run(*names, **sizes)
