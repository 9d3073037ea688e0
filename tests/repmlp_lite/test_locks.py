import errno
import fcntl
import os
import subprocess
import sys
from unittest.mock import Mock

import pytest

from repmlp_lite import locks
from repmlp_lite.locks import lock
from tests.helpers import ROOT

# Holds a lock, says so, and ends without a chance to release it.
HOLDER = """
import os, sys
from repmlp_lite.locks import lock
with lock(sys.argv[1]) as locked:
    print(locked, flush=True)
    sys.stdin.read()
    os.kill(os.getpid(), 9)
"""


def is_free(path):
    try:
        with lock(path, patience=0) as locked:
            return locked
    except TimeoutError:
        return False


def test_a_lock_ends_with_its_block(tmp_path):
    for path in (tmp_path / 'file', tmp_path):
        with lock(path) as locked:
            assert locked and not is_free(path)
        assert is_free(path)
    with pytest.raises(FileNotFoundError), lock(
            tmp_path / 'other', create=False):
        pass


def test_a_lock_ends_with_its_process(tmp_path):
    path, pipe = tmp_path / 'file', subprocess.PIPE
    with subprocess.Popen([sys.executable, '-c', HOLDER, path],
                          cwd=ROOT,
                          stdin=pipe,
                          stdout=pipe) as process:
        assert process.stdout.readline() == b'True\n'
        assert not is_free(path)
        process.communicate()
    assert process.returncode == -9
    assert is_free(path)


def test_processes_forked_meanwhile_keep_no_lock(tmp_path):
    path, (reader, writer) = tmp_path / 'file', os.pipe()
    with lock(path):
        child = os.fork()
        if not child:
            os.close(writer)
            os._exit(len(os.read(reader, 1)))
    assert is_free(path)
    os.close(writer)
    assert os.waitpid(child, 0)[1] == 0
    os.close(reader)


def test_a_lock_on_a_removed_file_counts_for_nothing(tmp_path, monkeypatch):
    path, flock = tmp_path / 'file', fcntl.flock

    def remove_first(descriptor, operation):
        monkeypatch.setattr(fcntl, 'flock', flock)
        path.unlink()  # its holder does, and releases it
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, 'flock', remove_first)
    with lock(path):
        assert not is_free(path)


@pytest.mark.parametrize('error', [
    *(OSError(number, os.strerror(number))
      for number in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)),
    NotImplementedError()
])
def test_a_file_system_without_locks(tmp_path, monkeypatch, capsys, error):
    locks._warn_once.cache_clear()
    monkeypatch.setattr(fcntl, 'flock', Mock(side_effect=error))
    for name in 'ab':
        with lock(tmp_path / name) as locked:
            assert not locked
    warning, = capsys.readouterr().err.splitlines()
    reason = getattr(error, 'strerror', None) or 'not implemented'
    assert f'has no locks ({reason})' in warning and 'run them one' in warning
