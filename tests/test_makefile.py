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
    (dict.fromkeys(NAMES, 'exit 0') | {
        NAMES[0]: WITHOUT_VENV
    }, NAMES[1]),
])
def test_the_first_that_makes_environments_is_taken(make, scripts, taken):
    done = make(scripts, '-n')
    assert done.returncode == 0 and not done.stderr
    assert f'{taken} -m venv --clear .venv' in done.stdout.splitlines()


@pytest.mark.parametrize(('version', 'ends'),
                         [((3, 10, 13), 'found 3.10: set PYTHON=...'),
                          ((3, 11, 0), None), ((3, 13, 5), None),
                          ((3, 14, 0), 'found 3.14: set PYTHON=...')])
@pytest.mark.parametrize(('name', 'arguments'),
                         [('python3', []), ('python9', ['PYTHON=python9'])])
def test_other_versions_are_refused(make, version, ends, name, arguments):
    script = POSING.format(python=sys.executable, version=version)
    done = make({name: script}, *arguments)
    assert done.returncode == 2
    *sentence, failed = done.stderr.splitlines()
    assert ('Error 77' in failed) is (ends is None)
    assert sentence == ([f'Python 3.11, 3.12 or 3.13 is needed, {ends}']
                        if ends else [])
