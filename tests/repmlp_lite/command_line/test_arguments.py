import argparse
import json

import pytest
from mmengine.config import DictAction

from repmlp_lite.command_line.arguments import (KeyValue, add_device,
                                                add_images,
                                                add_runner_arguments, add_size,
                                                new_parser, read_value)
from repmlp_lite.command_line.commands import COMMANDS
from tests.helpers import ROOT
from tests.programs import run_python

# Each command's --help in turn, in one process; then what it has imported.
CODE = """
import contextlib, io, json, sys
from repmlp_lite.main import run
heavy = {'matplotlib', 'mmcls', 'mmcv', 'mmengine', 'numpy', 'torch'}
found = {}
for command in sys.argv[1:]:
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        try:
            run([command, '--help'])
        except SystemExit as end:
            code = end.code
    found[command] = (code, 'usage: ' in text.getvalue(),
                      [*heavy & {*sys.modules}])
print(json.dumps(found))
"""


def test_help_imports_nothing_heavy():
    done = run_python('-c', CODE, *COMMANDS, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) == len(COMMANDS) > 10
    assert all(value == [0, True, []] for value in found.values()), found


def test_what_is_not_given_is_left_to_the_job():
    parser = new_parser('what it does')
    add_device(parser)
    assert vars(parser.parse_args([])) == {}
    assert vars(parser.parse_args(['--device', 'cuda'])) == {'device': 'cuda'}


def parse(line, action=KeyValue):
    parser = argparse.ArgumentParser()
    add_size(parser, '--shape', 'of it')
    parser.add_argument('--set', nargs='+', action=action)
    return parser.parse_args(line.split())


def test_a_size_is_one_number_or_two():
    assert parse('--shape 32').shape == (32, 32)
    assert parse('--shape 32 48').shape == (32, 48)


def test_pairs_are_collected():
    args = parse("--set a=1 c=x=y e= --set b=[dict(type='A=B')] d.e=(1,2)")
    assert args.set.pop('d.e') == (1, 2)
    assert args.set == dict(a=1, b=[dict(type='A=B')], c='x=y', e='')


@pytest.mark.parametrize('value', [
    '1', '-1.5', '1e-3', 'True', 'false', 'None', 'word', 'a.b-c/d=e', '',
    'a,b', '1,2', "'a','b'", '"a,b"', "'x'", '[1,2.5,x]', '[]', '()', '(1)',
    '(a,)', '[true,None]', '((1,2),(3,4))', '[(1,2),[a,b]]', "ab'c", 'f(x)'
])
def test_values_are_read_as_by_mmengine(value):
    ours, theirs = (
        parse(f'--set k={value}', action).set['k']
        for action in (KeyValue, DictAction))
    assert ours == theirs and type(ours) is type(theirs)


@pytest.mark.parametrize(('text', 'value'), [
    ("dict(type='A', sizes=(1, 2), on=True)",
     dict(type='A', sizes=(1, 2), on=True)),
    ("[dict(type='A'), dict(b=dict(c=-1.5))]",
     [dict(type='A'), dict(b=dict(c=-1.5))]),
    ('{"type": "A=B", "none": None}', dict(type='A=B', none=None)),
    ('"[dict(type=\'A\')]"', [dict(type='A')]),
    ('[a b, c]', ['a b', 'c']),
    ('a{1,2}', 'a{1,2}'),
    ('a.dict(b)', 'a.dict(b)'),
])
def test_other_values(text, value):
    assert read_value(text) == value


@pytest.mark.parametrize('text', [
    'dict(type=A)', 'dict([(1, 2)])', "dict(**{'a': 1})", 'dict(a=print())',
    "[dict(a=__import__('os'))]", "dict(type='A'", '{"a": 1', '{' * 9999,
    '[1]]', '1),2'
])
def test_nothing_is_run(text):
    with pytest.raises(ValueError):
        read_value(text)


@pytest.mark.parametrize(('line', 'message'), [
    ('--shape 0', '--shape takes one or two positive numbers'),
    ('--shape 1 2 3', '--shape takes one or two'),
    ('--set x=1 abc', "--set takes pairs KEY=VALUE: 'abc' is not one"),
    ('--set a..b=1', 'is not one'),
    ('--set a=(1,2', 'cannot be read (its brackets do not match)'),
    (f'--set a={"[" * 1100}{"]" * 1100}', 'cannot be read'),
])
def test_wrong_sizes_and_pairs_are_named(capsys, line, message):
    with pytest.raises(SystemExit) as ended:
        parse(line)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_home_in_options(monkeypatch):
    monkeypatch.setenv('HOME', '/home/me')
    parser = new_parser('')
    add_runner_arguments(parser)
    add_images(parser)
    args = parser.parse_args(
        ['--work-dir=~/x', '~/a.png', 'b~', '~no-such-user/c'])
    assert args.work_dir == '/home/me/x'
    assert args.images == ['/home/me/a.png', 'b~', '~no-such-user/c']
