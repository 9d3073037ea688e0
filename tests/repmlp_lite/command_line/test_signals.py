import logging
import os
import signal
import sys
from contextlib import suppress

import pytest

from repmlp_lite.command_line.signals import (TerminatedError,
                                              is_output_closed, stoppable)


def test_sigterm_is_an_exception_inside_and_nothing_is_left_behind():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(TerminatedError), stoppable():
        assert not logging.raiseExceptions
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
    assert logging.raiseExceptions


def test_several_processes_are_left_to_their_launcher(monkeypatch):
    monkeypatch.setenv('WORLD_SIZE', '2')
    before = signal.getsignal(signal.SIGTERM)
    with stoppable():
        assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize('text', ['', 'unread', 'much' * 10000])
def test_an_output_that_nobody_reads(monkeypatch, text):
    reader, writer = os.pipe()
    with os.fdopen(writer, 'w') as output:
        monkeypatch.setattr(sys, 'stdout', output)
        assert not is_output_closed()
        os.close(reader)
        with suppress(BrokenPipeError):
            output.write(text)
        assert is_output_closed()
        assert not is_output_closed()  # dropped


def test_a_full_disk_is_no_closed_pipe(monkeypatch):
    with open('/dev/full', 'w') as output:
        monkeypatch.setattr(sys, 'stdout', output)
        output.write('x')
        with pytest.raises(OSError, match='No space'):
            is_output_closed()
