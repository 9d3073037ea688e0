"""The floors of the house: imports run down only."""
import ast

import pytest

from tests.helpers import ROOT

# A module may import from floors below its own, and from its own folder. The
# light package beside this one is below all of them.
FLOORS = {
    'version': 0,
    'ops': 1,
    'host': 1,
    'models': 2,
    'recipe': 3,
    'checkpoints': 4,
    'reparam': 5,
    'export': 6,
    'jobs': 7,
}
PACKAGE, LITE = ROOT / 'mmcls_repmlp', ROOT / 'repmlp_lite'
HOSTS = [PACKAGE / 'host' / f'{name}.py' for name in ('mmcls', 'mmpretrain')]
MODULES = sorted(
    path for path in PACKAGE.rglob('*.py') if path != PACKAGE / '__init__.py')


def imported(path):
    """Dotted names below the package that a module imports."""
    here = ('mmcls_repmlp', *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[:len(here) - node.level + 1] if node.level else ()
            stem = '.'.join([*base, *filter(None, [node.module])])
            names = [f'{stem}.{alias.name}' for alias in node.names]
        else:
            continue
        yield from (name.split('.')[1:] for name in names
                    if name.split('.')[0] == 'mmcls_repmlp')


def place(path):
    return path.relative_to(PACKAGE).with_suffix('').parts[0]


def violations(path):
    own = place(path)
    return [
        name for name in imported(path)
        if not name or (name[0] != own and FLOORS[name[0]] >= FLOORS[own])
    ]


@pytest.mark.parametrize('path', MODULES, ids=str)
def test_imports_run_down(path):
    assert not violations(path)


def test_an_import_upwards_would_be_seen(tmp_path, monkeypatch):
    path = PACKAGE / 'ops' / 'conv_to_fc.py'
    text = path.read_text()
    for line in ('from mmcls_repmlp.models import arch',
                 'from ..reparam import complexity',
                 'import mmcls_repmlp.jobs', 'from .. import reparam'):
        monkeypatch.setattr(
            type(path),
            'read_text',
            lambda self, line=line: f'{text}\n{line}\n')
        assert len(violations(path)) == 1


def test_ops_need_torch_only():
    for path in (PACKAGE / 'ops').glob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert {a.name.split('.')[0] for a in node.names} <= {'torch'}
            if isinstance(node, ast.ImportFrom) and not node.level:
                assert node.module.split('.')[0] in ('torch', '__future__',
                                                     'collections')


def test_the_light_package_needs_no_other():
    heavy = {
        'mmcls_repmlp', 'torch', 'mmcls', 'mmpretrain', 'mmcv', 'mmengine'
    }
    for path in LITE.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            names = ([alias.name for alias in node.names] if isinstance(
                node, ast.Import) else [node.module or ''] if isinstance(
                    node, ast.ImportFrom) else [])
            found = heavy & {name.split('.')[0] for name in names}
            # Readers of a format may need its runtime, when they are called.
            assert not found or (path.parent.name == 'readers'
                                 and found == {'torch'}), path


def test_every_module_has_a_test_of_its_name():
    for path in MODULES:
        if path.name in ('__init__.py', 'errors.py', 'version.py'):
            continue
        folder = path.relative_to(PACKAGE).parent
        if path in HOSTS:  # one of them is installed at a time
            assert (ROOT / 'tests' / folder / 'test_names.py').exists()
            continue
        assert (ROOT / 'tests' / folder / f'test_{path.name}').exists(), path
