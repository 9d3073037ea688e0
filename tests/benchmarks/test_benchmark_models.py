import csv
from importlib.metadata import version

import pytest
import torch
from PIL import Image

from benchmarks.benchmark_models import benchmark, matmul_gflops
from repmlp_lite.errors import UserError
from tests.helpers import TINY


def run(*names, **sizes):
    given = dict(arch=TINY, img_sizes=[32], rounds=2, batches=[1])
    return benchmark(*names, **{**given, **sizes})


def test_rows_table_csv_and_chart(tmp_path):
    lines = []
    rows = run(
        'rc6:deploy',
        'ours:fused',
        batches=[1, 2],
        out_dir=tmp_path,
        report=lines.append)
    assert [(row.name, row.batch) for row in rows] == [('rc6:deploy', 1),
                                                       ('ours:fused', 1),
                                                       ('rc6:deploy', 2),
                                                       ('ours:fused', 2)]
    for row in rows:
        assert row.images_per_second == pytest.approx(1e3 * row.batch /
                                                      row.milliseconds)
        assert row.gflops > 0 and row.peak_share > 0
    assert [row.ratio for row in rows[::2]] == [1, 1]
    assert [row.paired for row in rows[::2]] == [1, 1]
    for first, second in (rows[:2], rows[2:]):  # as the medians beside it
        assert second.ratio == pytest.approx(first.milliseconds /
                                             second.milliseconds)
    text = '\n'.join(lines)
    assert f'torch {version("torch")}, ' in text and 'threads' in text
    for row in rows:
        assert f'{row.milliseconds:.1f}' in text
    with open(tmp_path / 'benchmark.csv') as file:
        read = list(csv.DictReader(file))
    assert [float(r['ratio']) for r in read] == [row.ratio for row in rows]
    with Image.open(tmp_path / 'benchmark.png') as image:
        assert image.format == 'PNG'


@pytest.mark.parametrize(
    ('sizes', 'words', 'ticks'),
    [(dict(batches=[1, 2]), 'images in a batch', [1, 2]),
     (dict(img_sizes=[32, 64]), 'pixels of a side', [32, 64])])
def test_the_chart_speaks_in_words_and_whole_numbers(tmp_path, figures, sizes,
                                                     words, ticks):
    run('ours:deploy', 'ours:fused', out_dir=tmp_path, **sizes)
    bars, lines = figures[0].axes
    assert lines.get_xlabel() == words
    assert [*lines.get_xticks()] == ticks
    assert bars.get_title().endswith('multiple of ours:deploy')
    assert bars.get_ylabel() == 'images per second'


def test_a_training_step_counts_three_times():
    rows = run('ours:train-step', 'ours:train-form')
    work = [row.gflops * row.milliseconds for row in rows]
    assert work[0] == pytest.approx(3 * work[1])


def test_ceiling_is_measured():
    assert matmul_gflops(torch.float32, 64) > 0


@pytest.mark.parametrize(('names', 'sizes', 'message'), [
    (('rc6:fused', 'ours:fused'), {}, 'is no candidate'),
    (('rc6:deploy', 'ours:fused'), dict(arch='x'), "'x' is not in default"),
    (('rc6:deploy', 'ours:fused'), dict(batches=[0]), 'must be positive'),
])
def test_wrong_arguments(names, sizes, message):
    with pytest.raises(UserError, match=message):
        run(*names, **sizes)
