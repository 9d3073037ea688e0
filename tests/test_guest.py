import json

import pytest

from mmcls_repmlp.host import NAME
from tests.helpers import ROOT
from tests.programs import run_python


@pytest.fixture(scope='module')
def changed(digits, tmp_path_factory):
    """What the import changes, by what it is."""
    done = run_python('-W', 'ignore', ROOT / 'tests' / 'guest.py', NAME,
                      digits / 'train', tmp_path_factory.mktemp('guest'))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_backbone_is_all_that_importing_replaces(changed):
    assert changed['names']
    assert all("RepMLPNet')" in name for name in changed['names'])


@pytest.mark.parametrize('what', [
    'new names of others', 'attributes', 'filters', 'levels', 'modules', 'runs'
])
def test_importing_leaves_the_host_as_it_was(changed, what):
    assert changed[what] == []
