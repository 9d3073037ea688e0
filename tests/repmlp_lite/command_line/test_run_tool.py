import argparse
import os
import re
import warnings
from pathlib import Path
from unittest.mock import Mock

import pytest

from repmlp_lite.command_line.run_tool import run_tool
from repmlp_lite.errors import JobFailedError
from tests.helpers import ROOT
from tests.programs import run as shell

PARSER = argparse.ArgumentParser(prog='tool.py')


def run(job, **arguments):
    return run_tool(PARSER, job, argparse.Namespace(**arguments))


def test_empty_arguments_are_refused(capsys):
    for value in ('', ['a', '']):
        assert run(lambda data: None, data=value) == 2
        assert "'data' is empty" in capsys.readouterr().err
    assert run(lambda data: None, data=['a']) == 0


def test_warnings_that_users_cannot_mend_are_not_shown():

    def warn():
        for message, module in (("'pkgutil.find_loader' is", 'mmengine.utils'),
                                ('This DataLoader will create 5', 'torch.a'),
                                ('worth reading', 'mmengine.utils')):
            warnings.warn_explicit(message, UserWarning, 'a.py', 1, module)

    before = [*warnings.filters]
    with pytest.warns(UserWarning, match='worth reading') as seen:
        assert run(warn) == 0
    assert len(seen) == 1
    assert warnings.filters == before


@pytest.mark.parametrize(
    'error', [ZeroDivisionError(),
              BrokenPipeError(32, 'Broken pipe')])
def test_what_nobody_foresaw_is_a_sentence_and_a_file(capsys, error):
    assert run(Mock(side_effect=error)) == 1
    said, = capsys.readouterr().err.splitlines()
    path = re.fullmatch(r'tool.py: error: \w.* \(the traceback is in (.*)\)',
                        said)[1]
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


def test_a_training_that_nobody_listens_to_goes_on(project, tmp_path):
    training = (
        f'"$PYTHON" {ROOT}/tools/train.py {project.config} --work-dir '
        f'{tmp_path} --no-validate --cfg-options train_cfg.max_epochs=1')
    done = shell('bash', '-o', 'pipefail', '-c', f'{training} | true')
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


def test_one_of_several_processes_ends_at_once(monkeypatch):
    ended = []
    monkeypatch.setattr('torch.distributed.is_initialized', lambda: True)
    monkeypatch.setattr(os, '_exit', ended.append)
    for job in (str, Mock(side_effect=JobFailedError('no'))):
        run(job)
    assert ended == [0, 1]
