import errno
import os
import tempfile
from unittest.mock import Mock

import pytest
from mmengine.logging import MMLogger

from repmlp_lite.command_line.failures import keep_traceback


def caught():
    try:
        raise ZeroDivisionError('by zero')
    except ZeroDivisionError as error:
        return error


@pytest.fixture(autouse=True)
def _no_run_yet(monkeypatch, tmp_path):
    monkeypatch.setattr(MMLogger, '_instance_dict', {})
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))


def test_the_traceback_goes_to_the_log_of_the_run(tmp_path):
    path = tmp_path / 'run.log'
    logger = MMLogger.get_instance('run', log_file=str(path))
    said = keep_traceback(caught(), 'train.py')
    assert said == f' (the traceback is in {path})'
    text = path.read_text()
    assert 'Traceback (most recent call last)' in text
    assert text.endswith('ZeroDivisionError: by zero\n')
    assert [*tmp_path.iterdir()] == [path]
    logger.handlers[-1].close()


def test_without_a_run_it_goes_to_a_file_of_its_own(tmp_path):
    said = keep_traceback(caught(), 'train.py')
    path, = tmp_path.glob('train-*.log')
    assert str(path) in said and 'by zero' in path.read_text()


def test_if_nothing_can_be_written_nothing_is_promised(monkeypatch):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(tempfile, 'NamedTemporaryFile', Mock(side_effect=full))
    assert keep_traceback(caught(), 'train.py') == ''
