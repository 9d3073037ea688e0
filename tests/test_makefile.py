"""Which Python the README's two commands set their environment up with."""
import shutil
import subprocess
import sys

import pytest

from tests.helpers import ROOT

NAMES = ('python3.11', 'python3.12', 'python3.13', 'python3')
# What pyenv leaves on the PATH for a version that is not chosen.
SHIM = 'echo "$0: command not found" >&2; exit 127'
# Only the last argument is run: the code after -c.
POSING = """for code; do :; done
exec {python} -c 'import sys
sys.version_info = {version}
exec(sys.argv[1])' "$code"
"""


@pytest.fixture
def make(tmp_path):
    """Run make where only these scripts are called like a Python."""

    def run(scripts, *arguments):
        for name, script in scripts.items():
            (tmp_path / name).write_text(f'#!/bin/sh\n{script}\n')
            (tmp_path / name).chmod(0o755)
        command = [shutil.which('make'), '-C', ROOT, '-B', '.venv/.ready']
        env = {'PATH': str(tmp_path), 'PYTHONHOME': '/nowhere'}
        return subprocess.run([*command, *arguments],
                              capture_output=True,
                              text=True,
                              env=env)

    return run


@pytest.mark.parametrize('first', NAMES)
def test_the_first_that_runs_is_taken(make, first):
    at = NAMES.index(first)
    scripts = dict.fromkeys(NAMES, SHIM)
    done = make(scripts | dict.fromkeys(NAMES[at:], 'exit 0'), '-n')
    assert done.returncode == 0 and not done.stderr
    assert f'{first} -m venv --clear .venv' in done.stdout.splitlines()


def test_one_that_cannot_make_environments_is_passed_over(make):
    without_venv = 'case "$*" in *venv*) exit 1; esac'
    scripts = {'python3.11': without_venv, 'python3.13': 'exit 0'}
    done = make(scripts, '-n')
    assert 'python3.13 -m venv --clear .venv' in done.stdout.splitlines()


@pytest.mark.parametrize('version', [(2, 7, 18), (3, 10, 13), (3, 14, 0)])
@pytest.mark.parametrize('arguments', [[], ['PYTHON=python9']])
def test_another_version_is_refused_in_one_sentence(make, version, arguments):
    name = arguments[0][len('PYTHON='):] if arguments else 'python3'
    done = make({name: POSING.format(python=sys.executable, version=version)},
                *arguments)
    assert done.returncode == 2
    sentence, failed = done.stderr.splitlines()
    assert sentence == ('Python 3.11, 3.12 or 3.13 is needed, found '
                        f'{version[0]}.{version[1]}: set PYTHON=...')
    assert failed.startswith('make: ***')


@pytest.mark.parametrize('version', [(3, 11, 0), (3, 12, 9), (3, 13, 5)])
def test_these_versions_go_on(make, version):
    script = POSING.format(python=sys.executable, version=version)
    done = make({'python9': f'[ "$1" != -m ] || exit 77\n{script}'},
                'PYTHON=python9')
    assert 'Python 3.11' not in done.stderr and 'Error 77' in done.stderr
