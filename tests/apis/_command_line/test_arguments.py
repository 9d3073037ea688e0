import argparse
import re

import pytest

from mmcls_repmlp.apis._command_line.arguments import (KeyValue, add_device,
                                                       add_runner_arguments,
                                                       add_size, new_parser)


def test_what_is_not_given_is_left_to_the_job():
    parser = new_parser('what it does')
    add_device(parser)
    parser.add_argument('--tta', action='store_true')
    parser.add_argument('more', nargs='*')
    assert vars(parser.parse_args([])) == {}
    assert vars(parser.parse_args(['--device', 'cuda'])) == {'device': 'cuda'}


def test_runner_arguments():
    parser = argparse.ArgumentParser()
    add_runner_arguments(parser)
    args = parser.parse_args(
        ['--cfg-options', 'a.b=1', 'c="[(1,2)]"', '--launcher', 'slurm'])
    assert args.cfg_options == {'a.b': 1, 'c': [(1, 2)]}
    assert args.launcher == 'slurm' and args.local_rank is None


def test_dictionaries_are_read_among_other_pairs():
    parser = argparse.ArgumentParser()
    parser.add_argument('--set', nargs='+', action=KeyValue)
    found = parser.parse_args(
        ['--set', 'a=1', "b.c=[dict(type='A=B')]", '--set', 'd=2'])
    assert found.set == {'a': 1, 'b.c': [dict(type='A=B')], 'd': 2}


def test_no_dictionary_is_run(capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument('--set', nargs='+', action=KeyValue)
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(['--set', 'a=dict(b=print())'])
    assert stop.value.code == 2
    assert 'cannot be read' in capsys.readouterr().err


@pytest.mark.parametrize(('given', 'size'),
                         [([], None), (['--shape', '32'], (32, 32)),
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


def parse(*pairs):
    parser = argparse.ArgumentParser()
    parser.add_argument('--set', nargs='+', action=KeyValue)
    return parser.parse_args(['--set', *pairs]).set


def test_pairs_are_read_as_mmengine_does():
    assert parse('a.b=1', 'c=x=y', 'd=(1,2)', 'e=') == {
        'a.b': 1,
        'c': 'x=y',
        'd': (1, 2),
        'e': ''
    }


@pytest.mark.parametrize(('pair', 'message'),
                         [('abc', "takes pairs KEY=VALUE: 'abc' is none"),
                          ('=1', "'=1' is none"), ('a..b=1', 'is none'),
                          ('.a=1', 'is none'), ('a.=1', 'is none'),
                          ('a=(1,2', 'cannot be read'),
                          ('a=[1,2', 'cannot be read')])
def test_what_is_no_pair(capsys, pair, message):
    with pytest.raises(SystemExit) as ended:
        parse('x=1', pair)
    assert ended.value.code == 2
    assert re.search(message, capsys.readouterr().err)
