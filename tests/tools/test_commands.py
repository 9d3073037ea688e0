"""The commands of ``repmlp``: arguments, sentences and exit codes."""
import inspect
from pkgutil import resolve_name

import pytest

from repmlp_lite.command_line import run_tool
from tests.programs import call


@pytest.fixture
def given(monkeypatch):
    """Call a tool without its job; return the arguments of the job."""
    calls = []

    def resolve(job):
        signature = inspect.signature(resolve_name(job))
        return lambda **given: calls.append(signature.bind(**given).arguments)

    def run(name, line):
        assert call(name, *line.split()) == 0
        return calls.pop()

    monkeypatch.setitem(run_tool.__globals__, 'resolve_name', resolve)
    return run


@pytest.mark.parametrize(('name', 'files', 'line'), [
    ('train', 'config', 'c.py --work-dir w --seed 0 --no-validate --resume '
     '--auto-scale-lr --amp --data d --check-data --force --launcher none '
     '--cfg-options a.b=1'),
    ('test', 'config checkpoint', 'c.py a.pth --metrics accuracy f1_score '
     '--metric-options topk=1 --out a.json --out-item metrics --work-dir w '
     '--tta --show-dir s --force --verbose --key k'),
    ('test', 'checkpoint', '--work-dir w a.pth'),
    ('reparameterize', 'config src dst', 'c.py a.pth b.pth --deploy-cfg b.py'),
    ('reparameterize', 'src dst', 'a.pth --force b.pth'),
    ('export', 'checkpoint out', 'a.pth b.onnx --opset 20 '
     '--precision int8 --calibrate d --with-preprocess --shape 32'),
    ('predict', 'exported images', 'a.pt2 b.png d --trust '
     '--out t.csv --force --batch-size 2 --top-k 3'),
    ('browse', 'config out_dir',
     'c.py d --phase val --number 3 --mode concat'),
    ('publish', 'src dst', 'a.pth b.pth --key k'),
    ('resize', 'config src dst', 'c.py a.pth b.pth --to 48 64'),
    ('flops', 'config', 'c.py --shape 64 --both-forms'),
    ('verify', 'config checkpoint folder',
     'c.py a.pth d --out a.png --max-pairs 9 --device cuda:0'),
    ('locality', 'config checkpoint out', 'c.py a.pth a.png --block 1.0 '
     '--position 0 3 --shareset 7 --over-training b.pth'),
    ('cam', 'images config checkpoint', 'b.png c.png c.py --method scorecam '
     '--layer stages.1 --target 3 --out a.png a.pth'),
    ('classify', 'images checkpoint', 'b.png a.pth --top-k 2 --batch-size 1'),
])
def test_arguments_fit_the_job(given, name, files, line):
    options = [word[2:] for word in line.split() if word.startswith('--')]
    assert {*files.split(), *(name.replace('-', '_') for name in options)} == {
        name
        for name, value in given(name, line).items()
        if value is not None and value is not False
    }


def test_a_config_is_told_from_images(given):
    found = given('classify', 'a.png b.png c.py --key k d.pth')
    assert found['images'] == ['a.png', 'b.png']
    assert (found['config'], found['checkpoint']) == ('c.py', 'd.pth')


@pytest.mark.parametrize(('name', 'line', 'message'), [
    ('reparameterize', 'CONFIG TRAINED MERGED', '--force'),
    ('flops', 'CONFIG --shape 40', 'images of 40x40 do not fit'),
    ('flops', 'no.py', "config 'no.py' does not exist"),
    ('test', 'a b --out-item pred', '--out-item pred needs --out FILE'),
    ('convert', 'a b --to-official --arch b', 'do not go with --to-official'),
])
def test_what_the_user_must_change_is_one_sentence_and_code_2(
        tool, tmp_path, capsys, name, line, message):
    assert tool(name, line) == 2
    error, = capsys.readouterr().err.splitlines()
    assert 'error: ' in error and message in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(('name', 'line', 'message'), [
    ('test', 'a b --metrics mAP', 'mAP (choose from accuracy'),
    ('browse', 'a b --phase none', 'invalid choice'),
    ('classify', 'a.py b', 'name an image before'),
])
def test_wrong_options_are_refused_by_the_parser(capsys, name, line, message):
    with pytest.raises(SystemExit) as exit_:
        call(name, *line.split())
    assert exit_.value.code == 2
    text = capsys.readouterr().err
    assert 'usage: ' in text and message in text.replace("'", '')
