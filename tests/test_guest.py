import json

from mmcls_repmlp.host import NAME
from tests.helpers import ROOT
from tests.programs import run_python


def test_the_backbone_is_all_that_importing_replaces(digits, tmp_path):
    done = run_python('-W', 'ignore', ROOT / 'tests' / 'guest.py', NAME,
                      digits / 'train', tmp_path)
    assert done.returncode == 0, done.stderr
    changed = json.loads(done.stdout.splitlines()[-1])
    names = changed.pop('names')
    assert names and all("RepMLPNet')" in name for name in names)
    assert {*changed} == {
        'new names of others', 'attributes', 'filters', 'levels', 'modules',
        'runs'
    } and not any(changed.values())
