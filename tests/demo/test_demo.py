import sys

import numpy as np
import pytest
import torch
from comparison import Comparison, compare, table
from figure import draw
from make_digits import main as make_digits
from PIL import Image
from sklearn.datasets import load_digits

import demo
from tests.helpers import ROOT, assert_same


@pytest.fixture
def comparison():
    labels, logits = torch.arange(10).repeat(2), torch.eye(10).repeat(2, 1)
    wrong = logits.clone()
    wrong[0] = wrong[0].roll(1)
    return Comparison(
        torch.rand(20, 3, 8, 8), labels, (logits, wrong),
        ([0.004, 0.006, 0.005], [0.002, 0.001, 0.006]), 16, (1234567, 1234000),
        (99, 88))


@pytest.fixture(scope='module')
def everything(tmp_path_factory):
    folder = tmp_path_factory.mktemp('demo') / 'digits'
    assert make_digits([str(folder)]) == 0
    return folder


def test_digits_are_those_of_scikit_learn(everything, capsys):
    (everything / 'mine.txt').touch()
    assert make_digits([str(everything)]) == 0  # they are used again
    assert (everything / 'mine.txt').exists()
    assert '1797 images in' in capsys.readouterr().out
    images = sorted(everything.rglob('*.png'))
    assert len(images) == 1797
    digits = load_digits()
    for path in images[::100]:
        number = int(path.stem)
        assert path.parent.name == str(digits.target[number])
        grey = np.asarray(Image.open(path)) * (16 / 255)
        np.testing.assert_allclose(grey, digits.images[number], atol=0.04)
    shares = [len([*everything.glob(f'val/{i}/*')]) for i in range(10)]
    assert sum(shares) == 360 and min(shares) >= 34


def test_some_digits_are_the_same_images(everything, tmp_path):
    some = tmp_path / 'some'
    assert make_digits([str(some), '--classes', '3', '8']) == 0
    found, expected = ({
        path.relative_to(folder): path.read_bytes()
        for path in folder.glob(f'*/{names}/*.png')
    } for folder, names in ((some, '*'), (everything, '[38]')))
    assert found == expected


def test_a_missing_scikit_learn_is_named(tmp_path, monkeypatch, capsys):
    for name in ('sklearn', 'sklearn.datasets'):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, 'ROOT', tmp_path)
    for run in (make_digits, demo.main):
        assert run([]) == 2
        error = capsys.readouterr().err
        assert error.endswith('run pip install "mmcls_repmlp[demo]"\n')
        assert error.count('\n') == 1
    assert not [*tmp_path.iterdir()]


def test_table(comparison):
    text = table(comparison)
    for part in ('100.00 %', '95.00 %', '1,234,567', '1,234,000', '99', '88',
                 '5.00 ms', '2.00 ms', 'batch 16', '2.50 times',
                 '1.0e+00 (of 20'):
        assert part in text


def test_figure(comparison, tmp_path, figures):
    curve = [dict(loss=3. - i, step=5 * i) for i in (1, 2)]
    curve.append(dict({'accuracy/top1': 50.}, step=1))
    (tmp_path / 'a.png').touch()  # an older figure is replaced
    draw(comparison, curve, tmp_path / 'a.png')
    with Image.open(tmp_path / 'a.png') as image:
        assert image.width > 1000
    digits = figures[-1].subfigs[1]
    assert 'red: wrong' in digits.get_suptitle()
    assert [(axes.get_title(), axes.title.get_color(), axes.get_xlabel())
            for axes in digits.axes[:2]] == [('1 (23%)', 'red', 'truth: 0'),
                                             ('2 (23%)', 'black', 'truth: 2')]


def test_compares_both_forms_on_all_validation_images(project, digits):
    comparison = compare((project.config, project.trained),
                         (project.deploy_config, project.merged))
    assert len(comparison.images) == len([*digits.glob('val/*/*')]) == 20
    assert comparison.labels.tolist() == [i // 2 for i in range(20)]
    assert_same(*comparison.logits, rtol=1e-4)
    # One of twenty images may hang in the balance, which rounding decides.
    assert comparison.top1[0] == pytest.approx(comparison.top1[1], abs=5)
    assert comparison.macs[1] < comparison.macs[0]


def test_a_failing_command_ends_the_demo(tmp_path, monkeypatch, capfd):
    # The digits are there, the tools are not.
    (tmp_path / 'data' / 'digits').mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, 'CONFIG', str(ROOT / demo.CONFIG))
    monkeypatch.setattr(demo, 'ROOT', tmp_path)
    with pytest.raises(SystemExit, match='train.py failed with exit code 2'):
        demo.main([])
    assert 'No such file' in capfd.readouterr().err
