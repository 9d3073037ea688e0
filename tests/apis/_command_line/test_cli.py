import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmcls_repmlp.apis._command_line.cli import run_tool
from mmcls_repmlp.errors import JobFailedError
from tests.helpers import ROOT

PARSER = argparse.ArgumentParser(prog='tool.py')


def run(job, **arguments):
    return run_tool(PARSER, job, argparse.Namespace(**arguments))


def fail(error):

    def job():
        raise error

    return job


@pytest.mark.parametrize('value', ['', ['a', '']])
def test_empty_arguments_are_refused(capsys, value):
    assert run(lambda data: None, data=value) == 2
    assert "'data' is empty" in capsys.readouterr().err
    assert run(lambda data: None, data=['a']) == 0


@pytest.mark.parametrize(('error', 'words'), [
    (ZeroDivisionError(), 'ZeroDivisionError'),
    (MemoryError(), 'not enough memory'),
    (BrokenPipeError(32, 'Broken pipe'), 'Broken pipe'),
])
def test_what_nobody_foresaw_is_a_sentence_and_a_file(capsys, error, words):
    assert run(fail(error)) == 1
    said, = capsys.readouterr().err.splitlines()
    assert said.startswith('tool.py: error: ') and words in said
    path = re.search(r'\(the traceback is in (.*)\)$', said)[1]
    text = Path(path).read_text()
    assert 'Traceback' in text and type(error).__name__ in text


@pytest.mark.parametrize('cause', [KeyError('exp_avg'), None])
def test_a_failure_with_a_cause_keeps_its_traceback(capsys, cause):

    def job():
        raise JobFailedError('training failed') from cause

    assert run(job) == 1
    said = capsys.readouterr().err
    assert said.startswith('tool.py: error: training failed')
    path = re.search(r' \(the traceback is in (.*)\)$', said)
    assert bool(path) == bool(cause)
    assert not cause or "KeyError: 'exp_avg'" in Path(path[1]).read_text()


def test_a_training_that_nobody_listens_to_goes_on(project, tmp_path,
                                                   monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    reader, writer = os.pipe()
    os.close(reader)
    command = [
        sys.executable, ROOT / 'tools/train.py', project.config, '--work-dir',
        tmp_path, '--no-validate', '--cfg-options', 'train_cfg.max_epochs=1'
    ]
    with os.fdopen(writer) as output:
        done = subprocess.run(
            command, stdout=output, stderr=subprocess.PIPE, text=True)
    assert 'Traceback' not in done.stderr and 'Error' not in done.stderr
    assert done.returncode == 0 and (tmp_path / 'epoch_1.pth').exists()


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


@pytest.mark.parametrize(('job', 'code'), [(str, 0),
                                           (fail(JobFailedError('no')), 1)])
def test_one_of_several_processes_ends_at_once(monkeypatch, job, code):
    ended = []
    monkeypatch.setattr('torch.distributed.is_initialized', lambda: True)
    monkeypatch.setattr(os, '_exit', ended.append)
    run(job)
    assert ended == [code]
