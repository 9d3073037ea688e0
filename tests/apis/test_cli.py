import argparse
import os

import pytest
import torch.distributed as dist

from mmcls_repmlp.apis.cli import (
    add_runner_arguments,
    add_size,
    adopt_local_rank,
    run_tool,
)
from mmcls_repmlp.errors import CheckpointError, JobFailedError

PARSER = argparse.ArgumentParser(prog='tool.py')


def fail(error):
    def job():
        raise error
    return job


def test_exit_codes_and_messages(capsys):
    assert run_tool(PARSER, lambda: None) == 0
    assert run_tool(PARSER, fail(CheckpointError('no\n  such file'))) == 2
    assert run_tool(PARSER, fail(JobFailedError('differs'))) == 1
    assert capsys.readouterr().err.splitlines() == [
        'tool.py: error: no such file', 'tool.py: error: differs']


def test_defects_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        run_tool(PARSER, fail(ZeroDivisionError()))


def test_runner_arguments():
    parser = argparse.ArgumentParser()
    add_runner_arguments(parser)
    args = parser.parse_args(
        ['--cfg-options', 'a.b=1', 'c="[(1,2)]"', '--launcher', 'slurm'])
    assert args.cfg_options == {'a.b': 1, 'c': [(1, 2)]}
    assert args.launcher == 'slurm' and args.work_dir is None


def test_rank_from_the_environment_goes_before_the_argument(monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '3')
    adopt_local_rank(1)
    assert os.environ['LOCAL_RANK'] == '3'
    monkeypatch.delenv('LOCAL_RANK')
    adopt_local_rank(1)
    assert os.environ.pop('LOCAL_RANK') == '1'


@pytest.mark.parametrize(('given', 'size'), [
    ([], None), (['--shape', '32'], (32, 32)),
    (['--shape', '32', '48'], (32, 48))])
def test_a_size_is_one_number_or_two(given, size):
    parser = argparse.ArgumentParser()
    add_size(parser, '--shape', 'of it')
    assert parser.parse_args(given).shape == size


@pytest.mark.parametrize('given', [['0'], ['1', '2', '3'], ['-4', '4'], ['x']])
def test_what_is_no_size(given, capsys):
    parser = argparse.ArgumentParser()
    add_size(parser, '--shape', 'of it')
    with pytest.raises(SystemExit) as exit_:
        parser.parse_args(['--shape', *given])
    assert exit_.value.code == 2
    assert '--shape' in capsys.readouterr().err


@pytest.mark.parametrize(('job', 'code'), [
    (lambda: None, 0), (fail(JobFailedError('no')), 1)])
def test_one_of_several_processes_ends_at_once(monkeypatch, job, code):
    ended = []
    monkeypatch.setattr(dist, 'is_initialized', lambda: True)
    monkeypatch.setattr(os, '_exit', ended.append)
    run_tool(PARSER, job)
    assert ended == [code]
