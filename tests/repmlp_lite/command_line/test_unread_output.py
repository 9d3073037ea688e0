import sys

import pytest

from repmlp_lite.command_line.unread_output import discard_unread_output


def test_a_full_disk_is_not_a_closed_pipe(monkeypatch):
    with open('/dev/full', 'w') as output:
        monkeypatch.setattr(sys, 'stdout', output)
        output.write('x')
        with pytest.raises(OSError, match='No space'):
            discard_unread_output()
