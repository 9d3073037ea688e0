"""Choice of the Python that the README's two commands set .venv up with."""
import shutil
import subprocess
import sys

import pytest

from tests.helpers import ROOT

NAMES = ('python3.11', 'python3.12', 'python3.13', 'python3')
# What pyenv leaves on the PATH for a version that is not chosen.
SHIM = 'echo "$0: command not found" >&2; exit 127'
WITHOUT_VENV = 'case "$*" in *venv*) exit 1; esac'
# Runs the last argument, which is the code after -c, but makes no environment.
POSING = """[ "$1" != -m ] || exit 77
for code; do :; done
exec {python} -c 'import sys
sys.version_info = {version}
exec(sys.argv[1])' "$code"
"""


@pytest.fixture
def make(tmp_path):
    """Run make where only these scripts are named like a Python."""

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


@pytest.mark.parametrize(('scripts', 'taken'), [
    *((dict.fromkeys(NAMES[:i], SHIM) | dict.fromkeys(NAMES[i:], 'exit 0'),
       name) for i, name in enumerate(NAMES)),
    ({
        'python3.11': WITHOUT_VENV,
        'python3.13': 'exit 0'
    }, 'python3.13'),
])
def test_the_first_that_makes_environments_is_taken(make, scripts, taken):
    done = make(scripts, '-n')
    assert done.returncode == 0 and not done.stderr
    assert f'{taken} -m venv --clear .venv' in done.stdout.splitlines()


@pytest.mark.parametrize('version', [(2, 7, 18), (3, 10, 13), (3, 14, 0)])
@pytest.mark.parametrize(('name', 'arguments'),
                         [('python3', []), ('python9', ['PYTHON=python9'])])
def test_another_version_is_refused_in_one_sentence(make, version, name,
                                                    arguments):
    script = POSING.format(python=sys.executable, version=version)
    done = make({name: script}, *arguments)
    assert done.returncode == 2
    sentence, failed = done.stderr.splitlines()
    assert sentence == ('Python 3.11, 3.12 or 3.13 is needed, found '
                        f'{version[0]}.{version[1]}: set PYTHON=...')
    assert failed.startswith('make: ***')


@pytest.mark.parametrize('version', [(3, 11, 0), (3, 12, 9), (3, 13, 5)])
def test_these_versions_are_accepted(make, version):
    script = POSING.format(python=sys.executable, version=version)
    done = make({'python9': script}, 'PYTHON=python9')
    assert 'Python 3.11' not in done.stderr and 'Error 77' in done.stderr
