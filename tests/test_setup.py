"""What is installed, as opposed to cloned, has all that is needed."""
import re
import shutil
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
from mmcls_repmlp.host.model_index import mim_root
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
    for name in ('setup.py', 'repmlp_lite.command_line.py', 'pyproject.toml',
                 'MANIFEST.in', 'README.md', 'model-index.yml'):
        shutil.copy(ROOT / name, source)
    left = shutil.ignore_patterns('__pycache__', '.mim')
    for name in ('mmcls_repmlp', 'configs', 'tools', 'demo', 'requirements'):
        shutil.copytree(ROOT / name, source / name, ignore=left)
    return source


def build(source, out, editable):
    """Unpack the wheel that pip makes of a clone."""
    build = f'build_{"editable" if editable else "wheel"}'
    code = f'import sys, setuptools.build_meta as m; m.{build}(sys.argv[1])'
    done = run_python('-c', code, out, cwd=source)
    assert done.returncode == 0, done.stderr
    wheel, = out.glob('*.whl')
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(out / 'site')
    return out / 'site'


@pytest.fixture(scope='module')
def installed(source, tmp_path_factory):
    """What ``pip install .`` puts into place."""
    return build(source, tmp_path_factory.mktemp('out'), editable=False)


@pytest.fixture(scope='module')
def editable(source, tmp_path_factory):
    """What ``pip install -e .`` puts into place."""
    return build(source, tmp_path_factory.mktemp('editable'), editable=True)


@pytest.fixture(scope='module')
def mim(installed):
    """What mim looks into."""
    return installed / 'mmcls_repmlp' / '.mim'


@pytest.fixture(scope='module')
def metadata(installed):
    path, = installed.glob('*.dist-info/METADATA')
    return path.read_text()


def where_mim_looks(site):
    """The folder of the package by mim's rule, which mmengine shares."""
    done = run_python(
        '-W', 'ignore', '-c', WHERE, cwd=site, PYTHONPATH=str(site))
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def test_configs_and_tools_are_inside_as_mim_expects(mim):
    assert (mim / 'model-index.yml').is_file()
    assert {path.relative_to(mim)
            for path in mim.rglob('*.py')} == {
                path.relative_to(ROOT)
                for name in ('configs', 'tools', 'demo')
                for path in (ROOT / name).rglob('*.py')
            }
    assert not [*mim.rglob('__pycache__')]
    assert (mim.parent / 'py.typed').is_file()
    # Else mim run takes any one of those of the same name.
    names = [path.stem for path in (mim / 'tools').rglob('[!_]*.py')]
    assert 'train' in names and len({*names}) == len(names)


def test_mim_finds_what_is_installed(installed):
    assert where_mim_looks(installed) == installed / 'mmcls_repmlp'


def test_mim_finds_what_is_editable(editable, source):
    package = where_mim_looks(editable)
    assert package == source / 'mmcls_repmlp'
    # Links: what is edited is what mim runs.
    for name in ('model-index.yml', 'tools/train.py', 'configs', 'demo'):
        assert (package / '.mim' / name).resolve() == source / name


def test_the_index_names_configs_that_mim_can_read(mim):
    models = [*load(str(mim / 'model-index.yml')).models]
    assert len({model.name for model in models}) == len(models) > 10
    for model in models:
        # mim search asks for the name in lower case.
        assert model.name == model.name.lower()
        config = Config.fromfile(mim / model.config)
        assert config.custom_imports.imports == ['mmcls_repmlp']


def test_training_takes_what_mim_adds_to_its_command(installed, mim):
    train = mim / 'tools' / 'train.py'
    said = run_python(train, '-h', PYTHONPATH=str(installed)).stdout
    # mim adds --launcher always, and --gpus or --device where it finds the
    # former in the help.
    assert '--launcher' in said and '--gpus' not in said


def test_pip_refuses_a_python_that_mmengine_cannot_run_on(metadata):
    said, = re.findall('^Requires-Python: (.*)', metadata, re.M)
    versions = [f'3.{minor}' for minor in range(8, 17)]
    assert [*SpecifierSet(said).filter(versions)
            ] == ['3.10', '3.11', '3.12', '3.13']


def test_models_are_found_without_the_clone(installed, mim, tmp_path):
    done = run_python(
        '-W', 'ignore', '-c', CODE, cwd=tmp_path, PYTHONPATH=str(installed))
    root, names, *_, module = done.stdout.splitlines()
    assert root == str(mim), done.stderr
    assert 'repmlp-tiny_8xb32_in1k' in names.split()
    assert module == 'mmcls_repmlp.models.repmlpnet.repmlpnet'


@pytest.mark.parametrize('host', [*HOSTS])
def test_an_extra_brings_what_is_checked_on_import(host):
    lines = (ROOT / 'requirements' / f'{host}.txt').read_text().splitlines()
    asked = {each.name: each.specifier for each in map(Requirement, lines[1:])}
    assert asked == {
        package.distributions[0]: SpecifierSet(package.supported)
        for package in (*HOSTS[host], ALWAYS['mmengine'])
    }


def test_without_an_extra_no_host_is_brought(metadata):
    lines = re.findall('^Requires-Dist: (.*)', metadata, re.M)
    asked = [Requirement(line) for line in lines]
    hosts = {'mmcls', 'mmpretrain', 'mmengine', 'mmcv', 'mmcv-lite'}
    always = {each.name for each in asked if each.marker is None}
    assert 'torch' in always and not hosts & always
    assert hosts & {each.name for each in asked}
