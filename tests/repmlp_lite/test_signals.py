import os
import signal
import sys
import time

import pytest

from repmlp_lite.signals import exit_code, interrupt_cause, raise_stops
from tests.helpers import ROOT
from tests.programs import run_python

STOPS = [signal.SIGHUP, signal.SIGINT, signal.SIGTERM]
# Stopped by SIGTERM, and again while it obeys.
PROGRAM = """
import os, signal, sys
from repmlp_lite.signals import exit_on_stop, raise_stops
exit_on_stop()
def stop():
    os.kill(os.getpid(), signal.SIGTERM)
def job():
    try:
        stop()
    finally:
        stop()
"""


@pytest.fixture(autouse=True)
def _as_before():
    numbers = [*STOPS, signal.SIGCHLD, signal.SIGALRM]
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    exit_code()  # forgets the stop
    for number, handler in before.items():
        signal.signal(number, handler)


def stop(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


def swallow(action):
    try:
        action()
    except KeyboardInterrupt:
        pass


@pytest.mark.parametrize('number', STOPS)
def test_a_stop_is_an_exception_in_a_job(number):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), raise_stops():
        stop(number)
    assert signal.getsignal(number) is before
    assert exit_code() == 128 + number
    assert exit_code() == 130


def test_several_processes_and_ignored_signals_are_left_alone(monkeypatch):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with raise_stops():
        stop(signal.SIGHUP)
    monkeypatch.setenv('WORLD_SIZE', '2')
    before = signal.getsignal(signal.SIGTERM)
    with raise_stops():
        assert signal.getsignal(signal.SIGTERM) is before


def test_a_stop_that_is_swallowed_counts_at_the_end():
    done = []
    with pytest.raises(KeyboardInterrupt), raise_stops():
        swallow(stop)
        done.append('job')
    assert done and exit_code() == 143


def test_a_stop_during_an_import_or_a_removal_waits_for_its_end(tmp_path):
    # Libraries swallow what is raised there; Python does so in __del__.
    module = tmp_path / 'swallows_all.py'
    module.write_text('import os, signal\ntry:\n'
                      '    os.kill(os.getpid(), signal.SIGTERM)\n'
                      '    whole = True\nexcept BaseException:\n    pass\n')
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(KeyboardInterrupt), raise_stops():
            import swallows_all
            time.sleep(60)
    finally:
        sys.path.remove(str(tmp_path))
        assert sys.modules.pop('swallows_all') is swallows_all
    assert swallows_all.whole and exit_code() == 143

    class Removed:

        def __del__(self):
            stop()

    with pytest.raises(KeyboardInterrupt), raise_stops():
        Removed()
        time.sleep(60)


def test_an_error_after_a_stop_is_part_of_it():
    with pytest.raises(RuntimeError) as caught, raise_stops():
        swallow(stop)
        raise RuntimeError('DataLoader worker was killed')
    assert interrupt_cause(caught.value) is not None


def test_forked_processes_end_without_a_word(capfd):
    with raise_stops():
        child = os.fork()
        if not child:
            swallow(stop)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 143
    assert capfd.readouterr() == ('', '')


@pytest.mark.parametrize(
    'lines', [
        'stop()',
        'with raise_stops(): job()',
        'import atexit; atexit.register(stop)',
    ],
    ids=['before', 'twice', 'after'])
def test_other_stops_end_the_process_at_once(lines):
    done = run_python('-c', f'{PROGRAM}\n{lines}', PYTHONPATH=str(ROOT))
    assert (done.returncode, done.stderr) == (143, '-c: stopped\n')
