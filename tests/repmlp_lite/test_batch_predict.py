import json
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

from repmlp_lite.batch_predict import batch_predict, check_batch_options
from repmlp_lite.errors import JobFailedError, UserError

IMAGES = [Path(f'{i}.png') for i in range(7)]


def prepare(path):
    if path.stem in ('2', '3'):
        raise JobFailedError(f'{path} is\x1b no image')
    return int(path.stem)


def run(paths, ready):
    assert [int(path.stem) for path in paths] == ready
    return [
        JobFailedError('5 is NaN') if i == 5 else [(f'\x1b{i}', i / 8)]
        for i in ready
    ]


def test_lines_are_in_order_and_batches_full(capsys):
    spy = Mock(side_effect=run)
    with pytest.raises(JobFailedError) as error:
        batch_predict(IMAGES, prepare, spy, 3)
    batches = [call.args[1] for call in spy.call_args_list]
    assert batches == [[0, 1], [4, 5], [6]]
    assert capsys.readouterr() == (
        ''.join(f'{i}.png: ?{i} {i / 8:.1%}\n' for i in (0, 1, 4, 6)),
        'skipped: 2.png is? no image\nskipped: 3.png is? no image\n'
        'skipped: 5 is NaN\n')
    assert str(error.value).startswith('3 of 7 images were skipped')
    assert str(error.value).endswith("'2.png', '3.png', '5.png'")


def test_the_first_of_many_are_named_at_the_end_and_no_table_is_empty(
        tmp_path):
    with pytest.raises(JobFailedError, match=r"'2.png', \.\.\.$"):
        batch_predict([IMAGES[2]] * 6, prepare, None, out=tmp_path / 'a.csv')
    assert not [*tmp_path.iterdir()]


def test_the_reason_of_a_single_image_is_the_error(capsys):
    with pytest.raises(JobFailedError, match='2.png is'):
        batch_predict([IMAGES[2]], prepare, run)
    assert not capsys.readouterr().err


def test_a_table_holds_all_others_and_a_terminal_shows_the_progress(
        tmp_path, terminal, capsys):
    out = tmp_path / 'a.json'
    with pytest.raises(JobFailedError, match='3 of 7'):
        batch_predict(IMAGES, prepare, run, out=out)
    names = [row['image'] for row in json.loads(out.read_text())]
    assert names == ['0.png', '1.png', '4.png', '6.png']
    assert capsys.readouterr().out == f'4 of 7 images are in {out}\n'
    drawn = terminal.getvalue()
    assert '7/7, ' in drawn and ' images/s' in drawn
    assert drawn.index('skipped: 2.png') < drawn.rindex('classifying')


def test_no_bar_is_drawn_between_lines_of_results(terminal, monkeypatch):
    monkeypatch.setattr(sys, 'stdout', terminal)
    batch_predict(IMAGES[:2], prepare, run)
    assert terminal.getvalue() == '0.png: ?0 0.0%\n1.png: ?1 12.5%\n'


@pytest.mark.parametrize('numbers', [(0, 5), (16, 0)])
def test_numbers_below_one_are_refused(numbers):
    with pytest.raises(UserError, match='from 1 on'):
        check_batch_options(*numbers)
