import argparse
import logging
import sys
import threading
import time
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from repmlp_lite import console
from repmlp_lite.command_line import run_tool
from repmlp_lite.console import (Progress, attach_log, close_all, say, track,
                                 warn)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still, and no thread beside."""
    clock = SimpleNamespace(now=0.)
    monkeypatch.setattr(time, 'monotonic', lambda: clock.now)
    monkeypatch.setattr(threading.Thread, 'start', lambda thread: None)
    return clock


def test_lines_come_by_time_and_not_by_steps(clock, monkeypatch, capsys):

    def wait(seconds):
        clock.now += seconds
        if clock.now == 90.:
            say('a line')  # so that none is due yet
        return clock.now > 150

    with Progress('training', 12, done=4) as progress:
        for _ in range(4):
            progress.advance(9, 'loss 0.5')
        monkeypatch.setattr(progress.over, 'wait', wait)
        progress._write_lines()
    assert capsys.readouterr().err.splitlines() == [
        'training: 8/12, 0.8 images/s, loss 0.5, 0:00:45 left',
        'training: 8/12, 0.267 images/s, loss 0.5, 0:02:15 left'
    ]


def test_a_short_job_in_a_log_says_nothing(capsys, clock):
    assert [*track('abc', 'testing', 3)] == [*'abc']
    assert capsys.readouterr() == ('', '')
    assert str(Progress('verifying')) == 'for 0:00:00'
    close_all()


def test_a_bar_on_a_terminal_under_the_lines(terminal, monkeypatch, capsys):
    for thing in track(['ab', 'cde'], 'testing', 2, len):
        say(f'a [line] of {thing}')
        monkeypatch.setattr(sys, 'stdout', terminal)
    assert capsys.readouterr().out == 'a [line] of ab\n'  # it was a file then
    drawn = terminal.getvalue()
    assert '━' in drawn and '2/2, ' in drawn and ' of ab' not in drawn
    assert drawn.index('a [line] of cde\n') < drawn.rindex('testing')


def test_a_terminal_that_cannot_go_back_gets_lines(terminal, monkeypatch):
    monkeypatch.setenv('TERM', 'dumb')
    with Progress('testing', 2) as progress:
        assert progress.bar is None


def test_other_processes_are_silent(monkeypatch, capsys, terminal):
    monkeypatch.setattr('torch.distributed.is_initialized', lambda: True)
    monkeypatch.setattr('torch.distributed.get_rank', lambda: 1)
    with Progress('testing', 2) as progress:
        progress.advance()
        assert progress not in console._active
        say('a line')
        warn('another')
    assert not terminal.getvalue() and capsys.readouterr() == ('', '')


def test_early_lines_wait_for_a_log_with_a_file(tmp_path):
    close_all()
    say('an early line')
    logger = logging.Logger('run')
    attach_log(logger, verbose=False)  # as in all processes but the first
    file = logging.FileHandler(tmp_path / 'log')
    logger.addHandler(file)
    attach_log(logger, verbose=False)
    warn('another')
    close_all()
    say('a third')
    file.close()
    assert (tmp_path / 'log').read_text() == 'an early line\nanother\n'


def test_a_reader_that_went_away_ends_no_job(monkeypatch):
    write = Mock(side_effect=BrokenPipeError)
    monkeypatch.setattr(sys, 'stdout', Mock(write=write))
    say('a line')
    write.assert_called()


def test_no_bar_is_drawn_over_an_error(terminal, monkeypatch):
    monkeypatch.setattr(sys, 'stderr', terminal)

    def job():
        for _ in track('abc', 'testing', 3):
            raise RuntimeError('broken')

    parser = argparse.ArgumentParser(prog='tool')
    assert run_tool(parser, job, argparse.Namespace()) == 1
    last = terminal.getvalue().splitlines()[-1]
    assert 'tool: error: RuntimeError: broken (the traceback is' in last


def test_no_text_of_others_makes_a_line_of_its_own(tmp_path, capsys):
    logger = logging.getLogger('of a run')
    logger.handlers = [
        logging.FileHandler(tmp_path / 'log'),
        logging.StreamHandler()
    ]
    attach_log(logger, verbose=False)
    evil = 'cat\naccuracy 100\x1b[2K'
    say('first', f'class {evil}')
    warn(evil)
    logger.warning(evil)
    close_all()
    out, err = capsys.readouterr()
    assert out == 'first\nclass cat?accuracy 100?[2K\n'
    assert err == 'cat?accuracy 100?[2K\nwarning: cat?accuracy 100?[2K\n'
    assert '\x1b' not in (tmp_path / 'log').read_text()
    with Progress('training', 1) as progress:
        progress.note = evil
        assert '\n' not in str(progress)
