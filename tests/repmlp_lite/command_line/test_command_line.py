"""The tools' door: arguments are read before anything heavy is imported."""
import json
import sys

import pytest

from repmlp_lite.command_line import place
from tests.helpers import ROOT
from tests.programs import run_python

TOOLS = [
    *sorted(
        path for path in (ROOT / 'tools').rglob('*.py')
        if path.parent.name != 'benchmarks'),
    ROOT / 'demo' / 'image_demo.py',
]
# Each tool's --help in turn, in one process; then what it has imported.
CODE = """
import contextlib, io, json, os, runpy, sys
heavy = {'matplotlib', 'mmcls', 'mmcv', 'mmengine', 'numpy', 'torch'}
found, path = {}, [*sys.path]
for tool in sys.argv[1:]:
    sys.argv, sys.path = [tool, '--help'], [os.path.dirname(tool), *path]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            runpy.run_path(tool, run_name='__main__')
        except SystemExit as end:
            code = end.code
    found[tool] = code, 'usage: ' in said.getvalue(), [*heavy & {*sys.modules}]
print(json.dumps(found))
"""


def test_help_imports_nothing_heavy():
    done = run_python('-c', CODE, *TOOLS, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) == len(TOOLS) > 15
    assert all(value == [0, True, []] for value in found.values()), found


def test_a_job_runs_in_the_whole_package(tmp_path):
    code = ('import argparse; from repmlp_lite.command_line import run_tool; '
            'import sys; assert "mmcls" not in sys.modules; '
            'run_tool(argparse.ArgumentParser(), "mmcls.registry:MODELS.get", '
            'argparse.Namespace(key="RepMLPNet")); '
            'import mmcls_repmlp; print(mmcls_repmlp.RepMLPNet.__module__, '
            'repmlp_lite.errors.UserError.__module__)')
    done = run_python('-W', 'ignore', '-c', code, PYTHONPATH=str(ROOT))
    assert done.stdout.split() == [
        'mmcls_repmlp.models.repmlpnet.repmlpnet', 'repmlp_lite.errors'
    ], done.stderr


def test_a_package_that_is_not_there_is_named():
    with pytest.raises(ModuleNotFoundError, match='nowhere') as caught:
        place('nowhere')
    assert caught.value.name == 'nowhere'
    assert 'nowhere' not in sys.modules


def test_what_runs_is_left_alone():
    before = sys.modules['mmcls_repmlp']
    place('mmcls_repmlp')
    assert sys.modules['mmcls_repmlp'] is before
