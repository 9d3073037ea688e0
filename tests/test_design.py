"""The floors of the house: imports run down only."""
import ast

import pytest

from tests.helpers import ROOT

# A module may import from floors below its own, and from its own folder. The
# light package beside this one is below all of them.
FLOORS = dict(
    version=0,
    ops=1,
    host=1,
    models=2,
    recipe=3,
    checkpoints=4,
    reparam=5,
    zoo=5,
    export=6,
    jobs=7)
PACKAGE = ROOT / 'mmcls_repmlp'
MODULES = sorted({*PACKAGE.rglob('*.py')} - {PACKAGE / '__init__.py'})


def imports(path, text=None):
    """Dotted names that a module imports, split at the dots."""
    here = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(text or path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split('.') for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[:len(here) - node.level + 1] if node.level else ()
            stem = '.'.join([*base, *filter(None, [node.module])])
            yield from ((*stem.split('.'), alias.name) for alias in node.names)


def violations(path, text=None):
    own = path.relative_to(PACKAGE).with_suffix('').parts[0]
    return [
        name for package, *name in imports(path, text)
        if package == 'mmcls_repmlp' and (
            not name or (name[0] != own and FLOORS[name[0]] >= FLOORS[own]))
    ]


@pytest.mark.parametrize('path', MODULES, ids=str)
def test_imports_run_down(path):
    assert not violations(path)


@pytest.mark.parametrize('line', [
    'from mmcls_repmlp.models import arch', 'from ..reparam import complexity',
    'import mmcls_repmlp.jobs', 'from .. import reparam'
])
def test_an_import_upwards_would_be_seen(line):
    assert len(violations(PACKAGE / 'ops' / 'conv_to_fc.py', line)) == 1


def test_ops_need_torch_only():
    for path in (PACKAGE / 'ops').glob('*.py'):
        assert {name[0]
                for name in imports(path)} <= {
                    'torch', '__future__', 'collections', 'typing',
                    'mmcls_repmlp'
                }


def test_the_light_package_needs_no_other():
    heavy = {
        'mmcls_repmlp', 'torch', 'mmcls', 'mmpretrain', 'mmcv', 'mmengine'
    }
    for path in (ROOT / 'repmlp_lite').rglob('*.py'):
        found = heavy & {name[0] for name in imports(path)}
        # Readers of a format may need its runtime, when they are called.
        assert not found or (path.parent.name == 'readers'
                             and found == {'torch'}), path


def test_every_module_has_a_test_of_its_name():
    # Of the two hosts one is installed at a time: test_names.py is for both.
    exempt = {'__init__', 'errors', 'version', 'mmcls', 'mmpretrain'}
    for path in MODULES:
        folder = ROOT / 'tests' / path.relative_to(PACKAGE).parent
        assert path.stem in exempt or (folder /
                                       f'test_{path.name}').exists(), path
