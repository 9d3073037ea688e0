import logging
import os
import signal
import sys
from contextlib import suppress

import pytest

from repmlp_lite.command_line.signals import (TerminatedError, convert_sigterm,
                                              discard_unread_output)


def test_sigterm_is_an_exception_inside_and_nothing_is_left_behind():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(TerminatedError), convert_sigterm():
        assert not logging.raiseExceptions
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
    assert logging.raiseExceptions


def test_several_processes_are_left_to_their_launcher(monkeypatch):
    monkeypatch.setenv('WORLD_SIZE', '2')
    before = signal.getsignal(signal.SIGTERM)
    with convert_sigterm():
        assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize('text', ['', 'much' * 10000])
def test_an_output_that_nobody_reads(monkeypatch, text):
    reader, writer = os.pipe()
    with os.fdopen(writer, 'w') as output:
        monkeypatch.setattr(sys, 'stdout', output)
        assert not discard_unread_output()
        os.close(reader)
        with suppress(BrokenPipeError):
            output.write(text)
        assert discard_unread_output()
        assert not discard_unread_output()  # dropped


def test_a_full_disk_is_not_a_closed_pipe(monkeypatch):
    with open('/dev/full', 'w') as output:
        monkeypatch.setattr(sys, 'stdout', output)
        output.write('x')
        with pytest.raises(OSError, match='No space'):
            discard_unread_output()
