import argparse

import pytest

from repmlp_lite.command_line.arguments import (KeyValue, add_device,
                                                add_runner_arguments, add_size,
                                                new_parser)


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
    args = parser.parse_args(['--cfg-options', 'a.b=1', '--launcher', 'slurm'])
    assert args.cfg_options == {'a.b': 1}
    assert args.launcher == 'slurm' and args.local_rank is None


def parse(line):
    parser = argparse.ArgumentParser()
    add_size(parser, '--shape', 'of it')
    parser.add_argument('--set', nargs='+', action=KeyValue)
    return parser.parse_args(line.split())


def test_a_size_is_one_number_or_two():
    assert parse('').shape is None
    assert parse('--shape 32').shape == (32, 32)
    assert parse('--shape 32 48').shape == (32, 48)


def test_pairs_are_read_as_mmengine_does_and_dictionaries_among_them():
    args = parse("--set a=1 c=x=y e= --set b=[dict(type='A=B')] d.e=(1,2)")
    assert args.set.pop('d.e') == (1, 2)
    assert args.set == dict(a=1, b=[dict(type='A=B')], c='x=y', e='')


@pytest.mark.parametrize(('line', 'message'), [
    ('--shape 0', '--shape takes one or two positive numbers'),
    ('--shape 1 2 3', '--shape takes one or two'),
    ('--shape -4 4', '--shape takes one or two'),
    ('--shape x', '--shape: invalid int'),
    ('--set x=1 abc', "--set takes pairs KEY=VALUE: 'abc' is none"),
    ('--set =1', "'=1' is none"),
    ('--set a..b=1', 'is none'),
    ('--set .a=1', 'is none'),
    ('--set a.=1', 'is none'),
    ('--set a=(1,2', 'cannot be read'),
    ('--set a=[1,2', 'cannot be read'),
    ('--set a=dict(b=print())', 'cannot be read'),
])
def test_what_is_no_size_or_no_pair(capsys, line, message):
    with pytest.raises(SystemExit) as ended:
        parse(line)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
