import os
import sys
from unittest.mock import Mock

import pytest

from repmlp_lite.command_line.boundary import outcome
from repmlp_lite.command_line.signals import TerminatedError
from repmlp_lite.errors import JobFailedError, UserError, option
from tests.helpers import ROOT
from tests.programs import run_python


@pytest.mark.parametrize(('error', 'code', 'message'), [
    (UserError('change\n  this'), 2, 'error: change this'),
    (JobFailedError('it broke'), 1, 'error: it broke'),
    (ValueError('odd'), 1, 'error: ValueError: odd'),
    (MemoryError(), 1, 'error: MemoryError'),
    (ValueError('x' * 10**4), 1, f'error: ValueError: {"x" * 288}...'),
    (KeyboardInterrupt(), 130, 'stopped'),
    (KeyboardInterrupt('a.pth is left'), 130, 'stopped: a.pth is left'),
    (TerminatedError(), 143, 'stopped'),
    (UserError('set `download=True`'), 2, 'error: set `download=True`'),
])
def test_whatever_happens_is_a_sentence_and_a_code(capsys, error, code,
                                                   message):
    assert outcome('tool', Mock(side_effect=error)) == code
    assert capsys.readouterr().err == f'tool: {message}\n'


def test_done_is_silent(capsys):
    assert outcome('tool', lambda: 'anything') == 0
    assert capsys.readouterr() == ('', '')


@pytest.mark.parametrize(('flush', 'code'), [(True, 141), (False, 0)])
def test_an_output_that_nobody_reads(capsys, monkeypatch, flush, code):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, 'w') as output:  # closing it fails if text is left
        monkeypatch.setattr(sys, 'stdout', output)
        assert outcome('tool', lambda: print('x', flush=flush)) == code
    assert capsys.readouterr().err == ''


# Reads a PNG that is cut off, of which OpenCV has its own to say.
READER = """
from repmlp_lite.command_line import outcome

def job():
    import cv2, numpy
    content = cv2.imencode('.png', numpy.zeros((50, 50), numpy.uint8))[1]
    assert cv2.imdecode(content[:60], cv2.IMREAD_COLOR) is None

assert outcome('tool', job) == 0
"""


def test_libraries_say_nothing_of_an_image_beside_the_sentence(monkeypatch):
    monkeypatch.delenv('OPENCV_LOG_LEVEL', raising=False)
    done = run_python('-W', 'ignore', '-c', READER, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, '')


@pytest.mark.parametrize('kind', [SyntaxError, UserError])
def test_a_stop_that_a_library_swallowed_is_still_a_stop(capsys, kind):

    def job():
        try:
            raise KeyboardInterrupt
        except BaseException:
            raise kind('cannot be formatted')  # noqa: B904

    assert outcome('tool', job) == 130
    assert capsys.readouterr().err == 'tool: stopped\n'


@pytest.mark.parametrize(('named', 'in_python', 'flag'), [
    (option('force'), 'force=True', '--force'),
    (option('work_dir', ...), 'work_dir=...', '--work-dir'),
    (option('out', "'a b.x'"), "out='a b.x'", "--out 'a b.x'"),
    (option('key', 'a.b=1'), 'key=a.b=1', '--key a.b=1'),
])
def test_options_are_written_as_the_reader_gives_them(capsys, named, in_python,
                                                      flag):
    error = UserError(f'pass {named}, however deep')
    assert str(error) == f'pass option `{in_python}`, however deep'
    failure = JobFailedError(f'of the newest: {error}')
    outcome('tool', Mock(side_effect=failure))
    assert capsys.readouterr().err == (
        f'tool: error: of the newest: pass {flag}, however deep\n')
