import csv
import json
from functools import partial
from pathlib import Path

import pytest

from repmlp_lite.errors import UserError
from repmlp_lite.results import check_results, write_results

FOUND = [
    (Path('a, "b".png'), [('cat', 0.1 + 0.2), ('dög', 1e-9)]),
    (Path('n\udcff.png'), [('dög', 0.5), ('a,b', 0.5)]),
]


def test_csv_and_json(tmp_path):
    for name in ('a.csv', 'a.JSON'):
        write_results(FOUND, tmp_path / name)
    with open(
            tmp_path / 'a.csv', encoding='utf-8-sig',
            errors='surrogateescape') as file:
        header, *lines = csv.reader(file)
    assert header == ['image', 'class_1', 'score_1', 'class_2', 'score_2']
    rows = json.loads((tmp_path / 'a.JSON').read_text())
    for line, row, (image, top) in zip(lines, rows, FOUND, strict=True):
        assert line[0] == row['image'] == str(image)
        assert [*zip(line[1::2], map(float, line[2::2]))] == top
        assert [(one['class'], one['score']) for one in row['top']] == top


def test_tables_are_replaced_only_by_force(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_text('precious')
    for use in (check_results, partial(write_results, FOUND)):
        with pytest.raises(UserError, match='force=True'):
            use(path)
    assert path.read_text() == 'precious'
    write_results(FOUND, path, force=True)
    assert path.read_bytes().startswith(b'\xef\xbb\xbfimage,')


def test_a_table_is_written_whole_or_not(tmp_path):
    broken = [*FOUND, (Path('c.png'), [('cat', object())])]
    with pytest.raises(TypeError):
        write_results(broken, tmp_path / 'a.json')
    with pytest.raises(UserError, match='end it in .csv or .json'):
        check_results(tmp_path / 'a.txt')
    assert not [*tmp_path.iterdir()]


def test_names_of_classes_cannot_break_a_table(tmp_path):
    found = [(Path('a.png'), [('x\x1b[31m\ny', 0.5)])]
    write_results(found, tmp_path / 'a.csv')
    text = (tmp_path / 'a.csv').read_text(encoding='utf-8-sig')
    assert text.splitlines() == ['image,class_1,score_1', 'a.png,x?[31m?y,0.5']
