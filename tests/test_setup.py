"""What is installed, as opposed to cloned, has all that is needed."""
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from mmengine.config import Config
from modelindex.load_model_index import load
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from mmcls_repmlp.host.choice import ALWAYS, HOSTS
from tests.helpers import ROOT
from tests.programs import run_python

CODE = """
import mmcls_repmlp
from mmcls_repmlp.host import NAME, host_module
from mmcls_repmlp.plugin.model_index import mim_root
print(mim_root())
host = host_module(NAME)
print(*host.list_models('repmlp*'))
print(type(host.get_model('repmlp-tiny_8xb32_in1k').backbone).__module__)
"""

WHERE = """
from mmengine.utils import get_installed_path
print(get_installed_path('mmcls_repmlp'))
"""


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """A clone, without what building leaves in one."""
    source = tmp_path_factory.mktemp('src')
    files = ('setup.py', 'mmcls_repmlp_cli.py', 'pyproject.toml',
             'MANIFEST.in', 'README.md', 'model-index.yml')
    for name in files:
        shutil.copy(ROOT / name, source)
    for name in ('mmcls_repmlp', 'configs', 'tools', 'demo', 'requirements'):
        shutil.copytree(
            ROOT / name,
            source / name,
            ignore=(shutil.ignore_patterns('__pycache__', '.mim')))
    return source


@pytest.fixture(scope='module')
def installed(source, tmp_path_factory):
    """The unpacked wheel: what ``pip install .`` puts into place."""
    out = tmp_path_factory.mktemp('out')
    subprocess.run([
        sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps',
        '--no-build-isolation', '--disable-pip-version-check', '-w', out,
        source
    ],
                   check=True)
    return unpack(out)


@pytest.fixture(scope='module')
def editable(source, tmp_path_factory):
    """What ``pip install -e .`` puts into place."""
    out = tmp_path_factory.mktemp('editable')
    subprocess.run([
        sys.executable, '-c', 'import sys, setuptools.build_meta as build; '
        'build.build_editable(sys.argv[1])', out
    ],
                   cwd=source,
                   stdout=subprocess.DEVNULL,
                   check=True)
    return unpack(out)


def unpack(out):
    wheel, = out.glob('*.whl')
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(out / 'site')
    return out / 'site'


def where_mim_looks(site):
    """The folder of the package by mim's rule, which mmengine shares."""
    done = run_python(
        '-W', 'ignore', '-c', WHERE, cwd=site, PYTHONPATH=str(site))
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def test_configs_and_tools_are_inside_as_mim_expects(installed):
    mim = installed / 'mmcls_repmlp' / '.mim'
    assert (mim / 'model-index.yml').is_file()
    assert (mim / 'tools' / 'train.py').is_file()
    assert {path.relative_to(mim)
            for path in mim.rglob('*.py')} == {
                path.relative_to(ROOT)
                for name in ('configs', 'tools', 'demo')
                for path in (ROOT / name).rglob('*.py')
            }
    assert not [*mim.rglob('__pycache__')]
    assert (mim.parent / 'py.typed').is_file()


def test_mim_finds_what_is_installed(installed):
    assert where_mim_looks(installed) == installed / 'mmcls_repmlp'


def test_mim_finds_what_is_editable(editable, source):
    package = where_mim_looks(editable)
    assert package == source / 'mmcls_repmlp'
    # Links: what is edited is what mim runs.
    for name in ('model-index.yml', 'tools/train.py', 'configs', 'demo'):
        assert (package / '.mim' / name).resolve() == source / name


def test_the_index_names_configs_that_mim_can_read(installed):
    mim = installed / 'mmcls_repmlp' / '.mim'
    models = [*load(str(mim / 'model-index.yml')).models]
    assert len({model.name for model in models}) == len(models) > 10
    for model in models:
        # mim search asks for the name in lower case.
        assert model.name == model.name.lower()
        config = Config.fromfile(mim / model.config)
        assert config.custom_imports.imports == ['mmcls_repmlp']


def test_no_tool_has_the_name_of_another(installed):
    # Else mim run takes any one of them.
    tools = installed / 'mmcls_repmlp' / '.mim' / 'tools'
    names = [path.stem for path in tools.rglob('[!_]*.py')]
    assert len({*names}) == len(names)


def test_training_takes_what_mim_adds_to_its_command(installed):
    train = installed / 'mmcls_repmlp' / '.mim' / 'tools' / 'train.py'
    said = run_python(train, '-h', PYTHONPATH=str(installed)).stdout
    # mim adds --launcher always, and --gpus or --device where it finds the
    # former in the help.
    assert '--launcher' in said and '--gpus' not in said


def test_pip_refuses_a_python_that_mmengine_cannot_run_on(installed):
    metadata, = installed.glob('*.dist-info/METADATA')
    said, = re.findall('^Requires-Python: (.*)', metadata.read_text(), re.M)
    assert [
        f'3.{minor}' for minor in range(8, 17)
        if f'3.{minor}' in SpecifierSet(said)
    ] == ['3.10', '3.11', '3.12', '3.13']


def test_models_are_found_without_the_clone(installed, tmp_path):
    done = run_python(
        '-W', 'ignore', '-c', CODE, cwd=tmp_path, PYTHONPATH=str(installed))
    root, names, *_, module = done.stdout.splitlines()
    assert root == str(installed / 'mmcls_repmlp' / '.mim'), done.stderr
    assert 'repmlp-tiny_8xb32_in1k' in names.split()
    assert module == 'mmcls_repmlp.models.repmlpnet.repmlpnet'


@pytest.mark.parametrize('host', [*HOSTS])
def test_an_extra_brings_what_is_checked_on_import(host):
    lines = (ROOT / 'requirements' / f'{host}.txt').read_text().splitlines()
    asked = {
        requirement.name: requirement.specifier
        for requirement in map(Requirement, lines[1:])
    }
    needed = dict(
        zip([host, 'mmcv'], HOSTS[host]), mmengine=ALWAYS['mmengine'])
    assert {*asked
            } == {package.distributions[0]
                  for package in needed.values()}
    for package in needed.values():
        assert asked[package.distributions[0]] == SpecifierSet(
            package.supported)


def test_without_an_extra_no_host_is_brought(installed):
    metadata, = installed.glob('*.dist-info/METADATA')
    lines = re.findall('^Requires-Dist: (.*)', metadata.read_text(), re.M)
    asked = [Requirement(line) for line in lines]
    hosts = {'mmcls', 'mmpretrain', 'mmengine', 'mmcv', 'mmcv-lite'}
    always = {each.name for each in asked if each.marker is None}
    assert 'torch' in always and not hosts & always
    assert hosts & {each.name for each in asked}
