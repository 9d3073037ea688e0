"""Runners of programs: tools in this process, others beside it."""
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys

from repmlp_lite.main import run_command
from tests.helpers import ROOT

TOOLS = ROOT / 'tools'


def loaded(path):
    """Load a program as a module."""
    spec = importlib.util.spec_from_file_location('tool', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(command, *argv):
    """Run a command of ``repmlp`` in this process."""
    return run_command(command, [str(arg) for arg in argv])


def command_of(tool):
    """Return the command that a file of tools/ runs, or None."""
    found = re.search(r"main\('(\w+)'\)", (ROOT / tool).read_text())
    return found and found[1]


def run(*command, cwd='/', **env):
    """Run a command in a process of its own, somewhere else, on one core."""
    here = {**os.environ, 'PYTHON': sys.executable, 'OMP_NUM_THREADS': '1'}
    return subprocess.run([str(word) for word in command],
                          capture_output=True,
                          text=True,
                          env=here | env,
                          cwd=cwd)


def run_python(*arguments, **options):
    """Run Python as :func:`run` runs a command."""
    return run(sys.executable, *arguments, **options)


def fork_trainings(*jobs):
    """Run jobs of ``jobs/fork_trainings.py`` and return what they found."""
    script = ROOT / 'tests' / 'jobs' / 'fork_trainings.py'
    text = json.dumps(jobs, default=str)
    done = run_python(script, text, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def free_port():
    """Find a port that is not in use."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])
