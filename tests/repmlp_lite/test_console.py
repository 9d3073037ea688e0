import argparse
import io
import re
import sys
import time

import pytest

from repmlp_lite import console as module
from repmlp_lite.command_line import run_tool
from repmlp_lite.console import Progress, say, track


@pytest.fixture
def hasty(monkeypatch):
    """Lines that come sooner."""
    monkeypatch.setattr(module, 'PERIOD', 0.05)


def wait_for_lines(capsys, count):
    found, end = '', time.monotonic() + 20
    while found.count('\n') < count and time.monotonic() < end:
        time.sleep(0.01)
        found += capsys.readouterr().err
    return found.splitlines()


def test_lines_come_by_time_and_not_by_steps(hasty, capsys):
    with Progress('training', 12) as progress:
        progress.begin(4)
        for _ in range(4):
            progress.advance(8, 'loss 0.5')
        lines = wait_for_lines(capsys, 2)  # of one long step
    assert len(lines) >= 2
    for line in lines:
        assert re.fullmatch(
            r'training: 8/12, \S+ images/s, loss 0.5, '
            r'0:00:0\d left', line)
    time.sleep(0.2)
    assert not capsys.readouterr().err  # when it is over


def test_a_line_is_due_every_minute_and_not_more_than_twice(monkeypatch):
    now, due = [0.], []
    monkeypatch.setattr(time, 'monotonic', lambda: now[0])
    with Progress('training') as progress:
        for now[0] in (44., 45., 46., 90., 91.):
            due.append(progress.is_due())
            if now[0] == 46.:
                say('a line')
    assert due == [False, True, True, False, True]


def test_a_job_without_an_end_in_sight():
    with Progress('verifying') as progress:
        assert progress.said() == 'for 0:00:00'


def test_the_time_left_counts_steps_of_this_run_alone(monkeypatch):
    now = 0.
    monkeypatch.setattr(time, 'monotonic', lambda: now)
    with Progress('training', 100) as progress:
        progress.begin(50)
        for _ in range(5):
            progress.advance(4)
    now = 10.
    # Five steps took ten seconds, 45 are left.
    assert progress.said() == '55/100, 2 images/s, 0:01:30 left'


def test_a_short_job_in_a_log_says_nothing(capsys):
    assert [*track('abc', 'testing', 3)] == [*'abc']
    assert capsys.readouterr() == ('', '')


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


def test_other_processes_are_silent(hasty, monkeypatch, capsys, terminal):
    monkeypatch.setattr('torch.distributed.is_initialized', lambda: True)
    monkeypatch.setattr('torch.distributed.get_rank', lambda: 1)
    with Progress('testing', 2) as progress:
        progress.advance()
        time.sleep(0.2)
    assert not terminal.getvalue()


def test_a_reader_that_went_away_ends_no_job(monkeypatch):

    class Closed(io.StringIO):

        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, 'stdout', Closed())
    say('a line')


def test_no_bar_is_drawn_over_an_error(terminal, monkeypatch):
    monkeypatch.setattr(sys, 'stderr', terminal)

    def job():
        for _ in track('abc', 'testing', 3):
            raise RuntimeError('broken')

    parser = argparse.ArgumentParser(prog='tool')
    assert run_tool(parser, job, argparse.Namespace()) == 1
    last = terminal.getvalue().splitlines()[-1]
    assert 'tool: error: RuntimeError: broken (the traceback is' in last
