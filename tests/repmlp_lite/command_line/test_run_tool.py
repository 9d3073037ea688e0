import argparse
import os
import re
import sys
import tempfile
import warnings
from pathlib import Path
from unittest.mock import Mock

import pytest
from mmengine.logging import MMLogger

from repmlp_lite.command_line import new_parser
from repmlp_lite.command_line.run_tool import run_tool
from repmlp_lite.errors import ImageError, JobFailedError, UserError, option
from repmlp_lite.signals import LAST_LINE
from tests.helpers import ROOT
from tests.programs import run as run_program

PARSER = argparse.ArgumentParser(prog='tool.py')


@pytest.fixture(autouse=True)
def _no_log_yet(monkeypatch, tmp_path):
    monkeypatch.setattr(MMLogger, '_instance_dict', {})
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))


def run(job, **arguments):
    return run_tool(PARSER, job, argparse.Namespace(**arguments))


@pytest.mark.parametrize(('error', 'code', 'message'), [
    (UserError('change\n  this'), 2, 'error: change this'),
    (UserError(f'{option("force")} is needed'), 2, 'error: --force is needed'),
    (KeyboardInterrupt('a.pth is left'), 130, 'stopped: a.pth is left'),
    (KeyboardInterrupt(), 130, 'stopped'),
    (UserError('set `download=True`'), 2, 'error: set `download=True`'),
])
def test_an_error_is_a_sentence_and_a_code(capsys, error, code, message):
    assert run(Mock(side_effect=error)) == code
    assert capsys.readouterr().err == f'tool.py: {message}\n'


@pytest.mark.parametrize(('named', 'in_python', 'flag'), [
    (option('work_dir', ...), 'work_dir=...', '--work-dir'),
    (option('out', "'a b.x'"), "out='a b.x'", "--out 'a b.x'"),
])
def test_options_are_named_as_the_reader_gives_them(capsys, named, in_python,
                                                    flag):
    error = UserError(f'pass {named}, however deep')
    assert str(error) == f'pass option `{in_python}`, however deep'
    run(Mock(side_effect=JobFailedError(f'of the newest: {error}')))
    assert capsys.readouterr().err == (
        f'tool.py: error: of the newest: pass {flag}, however deep\n')


def test_every_process_prints_its_own_error(capsys, monkeypatch):
    end = Mock()
    monkeypatch.setitem(run_tool.__globals__, '_end_process', end)
    monkeypatch.setitem(sys.modules, 'torch.distributed',
                        Mock(get_rank=lambda: 1))
    run(Mock(side_effect=UserError('no data')))
    assert capsys.readouterr().err == 'tool.py: error: no data\n'
    end.assert_called_once_with(2)


def test_a_launcher_is_left_the_first_line(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv(LAST_LINE, str(tmp_path / 'line'))
    for problem in ('no data', 'no more data'):
        assert run(Mock(side_effect=UserError(problem))) == 2
    with pytest.raises(SystemExit, match='2'):
        new_parser(None, prog='tool.py').parse_args(['--unknown'])
    assert capsys.readouterr().err == ''
    assert (tmp_path / 'line').read_text() == 'tool.py: error: no data'


@pytest.mark.parametrize(
    'error',
    [ZeroDivisionError(), BrokenPipeError(32, 'Broken')])
def test_an_unexpected_error_is_a_sentence_and_a_file(capsys, error):
    assert run(Mock(side_effect=error)) == 1
    path = re.fullmatch(r'tool.py: error: \w.* \(the traceback is in (.*)\)\n',
                        capsys.readouterr().err)[1]
    text = Path(path).read_text()
    assert 'Traceback' in text and type(error).__name__ in text


@pytest.mark.parametrize(('kind', 'cause', 'is_kept'),
                         [(JobFailedError, KeyError('exp_avg'), True),
                          (JobFailedError, None, False),
                          (ImageError, KeyError('exp_avg'), False)])
def test_a_failure_with_a_cause_keeps_its_traceback(capsys, kind, cause,
                                                    is_kept):
    error = kind('training failed')
    error.__cause__ = cause
    assert run(Mock(side_effect=error)) == 1
    line = capsys.readouterr().err
    assert line.startswith('tool.py: error: training failed')
    path = re.search(r' \(the traceback is in (.*)\)$', line)
    assert bool(path) == is_kept
    assert not path or "KeyError: 'exp_avg'" in Path(path[1]).read_text()


@pytest.mark.parametrize('kind', [SyntaxError, UserError])
def test_an_interrupt_that_a_library_caught_is_still_one(capsys, kind):
    error = kind('cannot be formatted')
    error.__context__ = KeyboardInterrupt()
    assert run(Mock(side_effect=error)) == 130
    assert capsys.readouterr().err == 'tool.py: stopped\n'


@pytest.mark.parametrize(('flush', 'code'), [(True, 141), (False, 0)])
def test_an_output_that_nobody_reads(capsys, monkeypatch, flush, code):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, 'w') as output:  # closing it fails if text is left
        monkeypatch.setattr(sys, 'stdout', output)
        assert run(lambda: print('x', flush=flush)) == code
    assert capsys.readouterr().err == ''


# Logs more than a pipe holds, and reads a PNG that is cut off, which OpenCV
# comments on.
JOB = """
import argparse, logging, pathlib, sys
from repmlp_lite.command_line import run_tool

def job():
    import cv2, numpy
    content = cv2.imencode('.png', numpy.zeros((50, 50), numpy.uint8))[1]
    assert cv2.imdecode(content[:60], cv2.IMREAD_COLOR) is None
    logging.basicConfig(stream=sys.stdout)
    for _ in range(10000):
        logging.warning('epoch 1/1')
    pathlib.Path(sys.argv[1]).touch()

sys.exit(run_tool(argparse.ArgumentParser(), job, argparse.Namespace()))
"""


def test_a_log_that_nobody_reads_stops_no_job(tmp_path, monkeypatch):
    monkeypatch.delenv('OPENCV_LOG_LEVEL', raising=False)
    line = 'set -o pipefail; "$PYTHON" -W ignore -c "$JOB" ./done | head -1'
    done = run_program(
        'bash', '-c', line, cwd=tmp_path, JOB=JOB, PYTHONPATH=str(ROOT))
    assert done.stdout == 'WARNING:root:epoch 1/1\n' and done.stderr == ''
    assert done.returncode == 0 and (tmp_path / 'done').exists()


def test_empty_arguments_are_refused(capsys):
    for value in ('', ['a', '']):
        assert run(lambda data: None, data=value) == 2
        assert "'data' is empty" in capsys.readouterr().err
    assert run(lambda data: None, data=['a']) == 0


@pytest.mark.parametrize('path', ['a' * 5000, 'b/' * 3000, 'a\0b'])
def test_texts_that_cannot_be_paths_are_refused(capsys, path):
    for value in (path, ['a.png', path]):
        assert run(Mock(), source=value) == 2
        line, = capsys.readouterr().err.splitlines()
        assert "argument 'source' is not a usable path" in line
        assert len(line) < 200


def test_warnings_that_users_cannot_mend_are_not_shown():

    def warn():
        for message, module in (("'pkgutil.find_loader' is", 'mmengine.utils'),
                                ('This DataLoader will create 5', 'torch.a'),
                                ('worth reading', 'mmengine.utils')):
            warnings.warn_explicit(message, UserWarning, 'a.py', 1, module)

    before = [*warnings.filters]
    with pytest.warns(UserWarning, match='worth reading') as seen:
        assert run(warn) == 0
    assert len(seen) == 1
    assert warnings.filters == before


def test_rank_from_the_environment_goes_before_the_argument(monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '3')
    for rank in '31':
        assert run(lambda: None, local_rank=1) == 0
        assert os.environ.pop('LOCAL_RANK') == rank


def test_a_job_is_imported_by_its_name(capsys):
    assert run('builtins:print', sep='-') == 0
    assert capsys.readouterr() == ('\n', '')


def test_a_missing_package_is_named(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'PIL', None)
    assert run('PIL:Image') == 2
    assert capsys.readouterr().err.endswith('pip install pillow\n')


def test_the_traceback_goes_to_the_log_of_the_run(tmp_path, capsys):
    path = tmp_path / 'run.log'
    logger = MMLogger.get_instance('run', log_file=str(path))
    assert run(Mock(side_effect=ZeroDivisionError)) == 1
    assert f'(the traceback is in {path})' in capsys.readouterr().err
    assert path.read_text().endswith('\nZeroDivisionError\n')
    assert [*tmp_path.iterdir()] == [path]
    logger.handlers[-1].close()


def test_if_nothing_can_be_written_no_file_is_named(monkeypatch, capsys):
    monkeypatch.setattr(tempfile, 'NamedTemporaryFile',
                        Mock(side_effect=OSError))
    assert run(Mock(side_effect=ZeroDivisionError)) == 1
    assert capsys.readouterr().err == 'tool.py: error: ZeroDivisionError\n'
