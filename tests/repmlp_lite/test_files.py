import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from unittest.mock import Mock

import pytest

from repmlp_lite.errors import UserError
from repmlp_lite.files import (atomic_write, check_suffix, check_writable,
                               scratch_folder, sha256_of)
from tests.helpers import ROOT

# Starts to write a file, and says so.
WRITER = """
import sys
from repmlp_lite.files import atomic_write
with atomic_write(sys.argv[1], force=True) as path:
    path.write_text('half')
    print('writing', flush=True)
    sys.stdin.read()
"""
# Writes fifty files, and one as often that another process writes, too.
WRITERS = """
import pathlib, sys
from repmlp_lite.files import atomic_write
folder = pathlib.Path(sys.argv[1])
for i in range(50):
    for name, force in (('all', True), (sys.argv[2] + str(i), False)):
        with atomic_write(folder / name, force) as path:
            path.write_text(name)
        assert (folder / name).read_text() == name
"""


@pytest.fixture
def writer(tmp_path):
    command = [sys.executable, '-c', WRITER, tmp_path / 'a.txt']
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout.readline() == b'writing\n'
        yield process


@pytest.fixture
def precious(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('precious')
    return path


def write(path, **options):
    with atomic_write(path, **options) as temporary:
        temporary.write_text('new')


def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    path = tmp_path / 'a.txt'
    with pytest.raises(UserError, match='exists'), \
            atomic_write(path) as temporary:
        temporary.write_text('new')
        path.write_text('precious')
    assert path.read_text() == 'precious'
    assert os.listdir(tmp_path) == ['a.txt']


def test_a_failure_leaves_nothing_and_loses_nothing(precious):
    with pytest.raises(ZeroDivisionError), \
            atomic_write(precious, force=True) as temporary:
        temporary.write_text('half')
        raise ZeroDivisionError
    assert precious.read_text() == 'precious'
    assert os.listdir(precious.parent) == ['a.txt']


@pytest.mark.parametrize('path', ['file/a', 'file/more/a', 'locked/new/a'])
def test_places_that_cannot_be_written_are_refused_first(
        tmp_path, monkeypatch, path):
    (tmp_path / 'file').write_text('')
    (tmp_path / 'locked').mkdir()
    monkeypatch.setattr(os, 'access', lambda place, _: place.name != 'locked')
    with pytest.raises(UserError, match='not a folder that you may write to'):
        check_writable(tmp_path / path)


def test_what_is_read_and_folders_are_never_replaced(precious):
    other = precious.with_name('other')
    other.touch()
    check_writable(precious, True, None, 'https://a/b.pth', 'no.pth', other)
    with pytest.raises(UserError, match='is also the file to read'):
        check_writable(precious, True, None, 'no.pth', precious)
    with pytest.raises(UserError, match='is a folder: name a file'):
        check_writable(precious.parent, True)


def test_a_hash_is_that_of_the_whole_file(tmp_path):
    content = bytes(range(251)) * 9000
    (tmp_path / 'a').write_bytes(content)
    assert sha256_of(tmp_path / 'a') == hashlib.sha256(content).hexdigest()


def test_suffixes_go_with_the_contents():
    check_suffix('b/a.PNG', ('.png', '.csv'), 'a matrix')
    message = "'a.png.txt' has the wrong suffix for a matrix: end it in .png"
    with pytest.raises(UserError, match=message):
        check_suffix('a.png.txt', ('.png', '.csv'), 'a matrix')


def test_what_a_killed_process_left_is_removed_by_the_next(precious, writer):
    folder = precious.parent
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert precious.read_text() == 'precious'
    assert len(os.listdir(folder)) == 2
    write(folder / 'b.txt')
    assert sorted(os.listdir(folder)) == ['a.txt', 'b.txt']


def test_what_a_living_process_prepares_is_kept(tmp_path, writer):
    with scratch_folder(tmp_path):
        pass
    writer.communicate()
    assert writer.returncode == 0
    assert (tmp_path / 'a.txt').read_text() == 'half'
    assert os.listdir(tmp_path) == ['a.txt']


def test_a_link_stays_one_and_what_it_names_is_replaced(tmp_path):
    target, link = tmp_path / 'target.txt', tmp_path / 'link.txt'
    link.symlink_to(target)
    with pytest.raises(UserError, match='exists'):
        check_writable(link)
    write(link, force=True)
    assert link.is_symlink() and target.read_text() == 'new'


def test_without_locks_nothing_is_removed_and_all_is_written(
        tmp_path, monkeypatch):
    before = ['.mmcls_repmlp-abc', '.mmcls_repmlp-def']
    for name in before:
        (tmp_path / name / 'new').mkdir(parents=True)
    (tmp_path / before[0] / 'lock').touch()
    monkeypatch.setattr('fcntl.flock', Mock(side_effect=NotImplementedError))
    with atomic_write(tmp_path / 'a.txt') as temporary:
        temporary.write_text('new')
        monkeypatch.undo()  # of those without a lock, others remove none
        with scratch_folder(tmp_path):
            pass
    assert sorted(os.listdir(tmp_path)) == [before[1], 'a.txt']


@pytest.mark.parametrize('action', ['sweep', 'remove'])
def test_a_folder_that_vanishes_before_it_is_locked(tmp_path, monkeypatch,
                                                    action):
    make, parent = tempfile.mkdtemp, tmp_path / 'parent'

    def make_and_lose(**options):
        monkeypatch.setattr(tempfile, 'mkdtemp', make)
        path = make(**options)
        if action == 'sweep':  # as another process that writes here
            write(parent / 'b.txt')
        else:
            shutil.rmtree(parent)
        assert not os.path.exists(path)
        return path

    monkeypatch.setattr(tempfile, 'mkdtemp', make_and_lose)
    write(parent / 'a.txt')
    assert (parent / 'a.txt').read_text() == 'new'
    assert {*os.listdir(parent)} <= {'a.txt', 'b.txt'}


def test_two_processes_write_into_one_folder(tmp_path):
    commands = [[sys.executable, '-c', WRITERS, tmp_path / 'a', name]
                for name in 'xy']
    writers = [subprocess.Popen(command, cwd=ROOT) for command in commands]
    assert [writer.wait() for writer in writers] == [0, 0]
    expected = {'all'} | {f'{name}{i}' for name in 'xy' for i in range(50)}
    assert {*os.listdir(tmp_path / 'a')} == expected


def test_of_two_that_make_one_file_the_second_is_refused(
        tmp_path, monkeypatch):
    path, link = tmp_path / 'a.txt', os.link

    def link_too_late(source, target):
        path.write_text('precious')
        link(source, target)

    monkeypatch.setattr(os, 'link', link_too_late)
    with pytest.raises(UserError, match='exists'):
        write(path)
    assert path.read_text() == 'precious'
    path.unlink()
    monkeypatch.setattr(os, 'link', Mock(side_effect=PermissionError))
    write(path)  # a file system without links
    assert path.read_text() == 'new'


def test_contents_are_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    events = []
    monkeypatch.setattr(
        os, 'fsync',
        lambda file: events.append(stat.S_ISDIR(os.fstat(file).st_mode)))
    monkeypatch.setattr(os, 'replace', lambda *_: events.append('name'))
    write(tmp_path / 'a.txt', force=True)
    assert events == [False, 'name', True]
