import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch.distributed as dist

from mmcls_repmlp.apis._command_line.cli import run_tool
from mmcls_repmlp.apis._command_line.stops import TerminatedError
from mmcls_repmlp.errors import CheckpointError, JobFailedError
from tests.helpers import ROOT

PARSER = argparse.ArgumentParser(prog='tool.py')


def run(job, **arguments):
    return run_tool(PARSER, job, argparse.Namespace(**arguments))


def fail(error):

    def job():
        raise error

    return job


def test_exit_codes_and_messages(capsys):
    assert run(lambda: None) == 0
    assert run(fail(CheckpointError('no\n  such file'))) == 2
    assert run(fail(JobFailedError('differs'))) == 1
    assert capsys.readouterr().err.splitlines() == [
        'tool.py: error: no such file', 'tool.py: error: differs'
    ]


@pytest.mark.parametrize('value', ['', ['a', '']])
def test_empty_arguments_are_refused(capsys, value):
    assert run(lambda data: None, data=value) == 2
    assert "'data' is empty" in capsys.readouterr().err
    assert run(lambda data: None, data=['a']) == 0


@pytest.mark.parametrize(
    ('error', 'words'),
    [(ZeroDivisionError(), 'ZeroDivisionError'),
     (OSError(28, 'No space left on device'), 'No space left on device'),
     (MemoryError(), 'not enough memory'),
     (BrokenPipeError(32, 'Broken pipe'), 'Broken pipe')])
def test_what_nobody_foresaw_is_a_sentence_and_a_file(capsys, error, words):
    assert run(fail(error)) == 1
    said, = capsys.readouterr().err.splitlines()
    assert said.startswith('tool.py: error: ') and words in said
    path = re.search(r'\(the traceback is in (.*)\)$', said)[1]
    text = Path(path).read_text()
    assert 'Traceback' in text and type(error).__name__ in text


def test_a_failure_with_a_cause_keeps_its_traceback(capsys):

    def job():
        try:
            fail(KeyError('exp_avg'))()
        except KeyError as error:
            raise JobFailedError('training failed') from error

    assert run(job) == 1
    said = capsys.readouterr().err
    assert 'error: training failed (the traceback is in ' in said
    assert "KeyError: 'exp_avg'" in Path(
        said.split('is in ')[1].strip().rstrip(')')).read_text()


@pytest.mark.parametrize(
    ('error', 'code', 'words'),
    [(KeyboardInterrupt(), 130, 'stopped'),
     (KeyboardInterrupt('a.pth is left'), 130, 'stopped: a.pth is left'),
     (TerminatedError(), 143, 'stopped')])
def test_who_stops_a_tool_gets_a_sentence(capsys, error, code, words):
    assert run(fail(error)) == code
    assert capsys.readouterr().err == f'tool.py: {words}\n'


@pytest.mark.parametrize('tool', ['misc/print_config.py', 'train.py'])
def test_a_closed_pipe_ends_in_no_traceback(project, tmp_path, tool):
    more = {
        'train.py': [
            '--work-dir', tmp_path, '--no-validate', '--cfg-options',
            'train_cfg.max_epochs=1'
        ]
    }
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as output:
        done = subprocess.run([
            sys.executable, ROOT / 'tools' / tool, project.config,
            *more.get(tool, [])
        ],
                              stdout=output,
                              stderr=subprocess.PIPE,
                              text=True,
                              env={
                                  **os.environ, 'PYTHONPATH': str(ROOT),
                                  'OMP_NUM_THREADS': '1'
                              })
    assert 'Traceback' not in done.stderr and 'Error' not in done.stderr
    if tool == 'train.py':  # it goes on
        assert done.returncode == 0 and (tmp_path / 'epoch_1.pth').exists()
    else:
        assert done.returncode in (0, 141)  # nothing or something was left


def test_rank_from_the_environment_goes_before_the_argument(monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '3')
    assert run(lambda: None, local_rank=1) == 0
    assert os.environ['LOCAL_RANK'] == '3'
    monkeypatch.delenv('LOCAL_RANK')
    assert run(lambda: None, local_rank=1) == 0
    assert os.environ.pop('LOCAL_RANK') == '1'


def test_a_job_is_imported_by_its_name_and_told_what_was_given(capsys):
    assert run('builtins:print', sep='-') == 0
    assert capsys.readouterr().out == '\n'
    assert run('builtins:prin') == 1
    assert "no attribute 'prin'" in capsys.readouterr().err


@pytest.mark.parametrize(('job', 'code'), [(lambda: None, 0),
                                           (fail(JobFailedError('no')), 1)])
def test_one_of_several_processes_ends_at_once(monkeypatch, job, code):
    ended = []
    monkeypatch.setattr(dist, 'is_initialized', lambda: True)
    monkeypatch.setattr(os, '_exit', ended.append)
    run(job)
    assert ended == [code]
