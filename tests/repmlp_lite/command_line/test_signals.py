import logging
import os
import signal
import sys

import pytest

from repmlp_lite.command_line.signals import (TerminatedError, convert_sigterm,
                                              discard_unread_output)


def test_sigterm_is_an_exception_where_one_process_works(monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(TerminatedError), convert_sigterm():
        assert not logging.raiseExceptions
        os.kill(os.getpid(), signal.SIGTERM)
    assert logging.raiseExceptions
    monkeypatch.setenv('WORLD_SIZE', '2')
    with convert_sigterm():  # the launcher stops them
        assert signal.getsignal(signal.SIGTERM) is before


def test_a_full_disk_is_not_a_closed_pipe(monkeypatch):
    with open('/dev/full', 'w') as output:
        monkeypatch.setattr(sys, 'stdout', output)
        output.write('x')
        with pytest.raises(OSError, match='No space'):
            discard_unread_output()
