import errno
import os
import tempfile
from unittest.mock import Mock

import pytest
import torch
from mmengine.logging import MMLogger

from repmlp_lite.command_line.failures import (describe, is_out_of_memory,
                                               keep_traceback)


@pytest.mark.parametrize(('error', 'words'), [
    (OSError(errno.ENOSPC, 'No space left on device',
             'a.pth'), "No space left on device: 'a.pth'"),
    (OSError(errno.EXDEV, 'Invalid link', 'a', None,
             'b'), "Invalid link: 'a': 'b'"),
    (OSError('cannot identify image'), 'OSError: cannot identify image'),
    (MemoryError(), 'there is not enough memory, smaller batches '
     '(batch_size) or images need less (no more is known)'),
    (torch.OutOfMemoryError('CUDA'), 'there is not enough memory, smaller '
     'batches (batch_size) or images need less (CUDA)'),
    (RuntimeError('shapes\n cannot be   multiplied'),
     'shapes cannot be multiplied'),
    (KeyError('exp_avg'), "KeyError: 'exp_avg'"),
    (KeyError('Foo is not in the registry'), 'Foo is not in the registry'),
    (ZeroDivisionError(), 'ZeroDivisionError'),
    (RuntimeError(), 'RuntimeError'),
    (ValueError('x' * 1000), f'ValueError: {"x" * 288}...'),
])
def test_an_error_in_a_line(error, words):
    assert describe(error) == words


def test_what_pytorch_says_without_memory():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


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
