"""Source distribution, wheel, editable installation: their contents."""
import re
import shutil

import pytest
from mmengine.config import Config
from modelindex.load_model_index import load
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from mmcls_repmlp.host import NAME
from mmcls_repmlp.host.choice import ALWAYS, HOSTS
from mmcls_repmlp.version import __version__
from tests.helpers import ROOT
from tests.programs import call, run_python

INFO = f'mmcls_repmlp-{__version__}.dist-info'
PYTHONS = ['3.11', '3.12', '3.13']

# Ours is the backbone even if the host is imported later.
MODELS = f"""
import torch
import mmcls_repmlp
import {NAME}.models
from mmcls_repmlp.host.model_index import mim_root
from mmengine.utils import get_installed_path
print(get_installed_path('mmcls_repmlp'))
print(mim_root())
with torch.device('meta'):
    model = {NAME}.get_model('repmlp-tiny_8xb32_in1k')
print(type(model.backbone).__module__)
"""


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """The files that git has, without those of builds."""
    left = shutil.ignore_patterns('.*', '__pycache__', '*.egg-info', 'tests',
                                  'docs', 'work_dirs', 'data', 'build', 'dist')
    return shutil.copytree(
        ROOT, tmp_path_factory.mktemp('src') / 'clone', ignore=left)


def build(kind, source, out):
    """Build as pip does, and unpack what was built."""
    code = 'import sys, setuptools.build_meta as m; m.build_'
    done = run_python('-c', f'{code}{kind}(sys.argv[1])', out, cwd=source)
    assert done.returncode == 0, done.stderr
    built, = out.iterdir()
    form = 'gztar' if kind == 'sdist' else 'zip'
    shutil.unpack_archive(built, out / 'site', form)
    return out / 'site'


@pytest.fixture(scope='module')
def installed(source, tmp_path_factory):
    """Result of ``pip install`` of the source distribution, as of a clone."""
    clone, = build('sdist', source, tmp_path_factory.mktemp('sdist')).iterdir()
    return build('wheel', clone, tmp_path_factory.mktemp('wheel'))


@pytest.fixture(scope='module')
def mim(installed):
    """Folder that mim reads."""
    return installed / 'mmcls_repmlp' / '.mim'


@pytest.fixture(scope='module')
def metadata(installed):
    return Metadata.from_email((installed / INFO / 'METADATA').read_bytes())


def test_packages_configs_and_tools_are_inside_and_nothing_else(
        installed, mim):
    names = {path.name for path in installed.iterdir()}
    assert names == {'mmcls_repmlp', 'repmlp_lite', INFO}
    for package in ('mmcls_repmlp', 'repmlp_lite'):
        assert (installed / package / 'py.typed').is_file()
    assert (mim / 'model-index.yml').is_file()
    assert {path.relative_to(mim)
            for path in mim.rglob('*.py')} == {
                path.relative_to(ROOT)
                for name in ('configs', 'tools', 'demo')
                for path in (ROOT / name).rglob('*.py')
            }
    assert not [*mim.rglob('__pycache__')]
    # Else mim run takes any one of those of the same name.
    names = [path.stem for path in (mim / 'tools').rglob('[!_]*.py')]
    assert 'train' in names and len({*names}) == len(names)


def test_mim_finds_the_package_and_its_models(installed, mim):
    done = run_python(
        '-W', 'ignore', '-c', MODELS, cwd=installed, PYTHONPATH=str(installed))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        str(installed / 'mmcls_repmlp'),
        str(mim), 'mmcls_repmlp.models.repmlpnet.repmlpnet'
    ]


def test_an_editable_package_links_to_the_files(source, tmp_path):
    build('editable', source, tmp_path)
    mim = source / 'mmcls_repmlp' / '.mim'
    for name in ('model-index.yml', 'tools/train.py', 'configs', 'demo'):
        assert (mim / name).resolve() == source / name


def test_the_index_names_configs_that_mim_can_read(mim):
    models = [*load(str(mim / 'model-index.yml')).models]
    assert len({model.name for model in models}) == len(models) > 10
    for model in models:
        # mim search asks for the name in lower case.
        assert model.name == model.name.lower()
        config = Config.fromfile(mim / model.config)
        assert config.custom_imports.imports == ['mmcls_repmlp']


def test_training_takes_the_options_that_mim_adds(capsys):
    with pytest.raises(SystemExit):
        call('train', '--help')
    # mim adds --launcher always, and --gpus or --device where it finds the
    # former in the help.
    text = capsys.readouterr().out
    assert '--launcher' in text and '--gpus' not in text


def test_the_same_pythons_everywhere(metadata):
    versions = [f'3.{minor}' for minor in range(8, 17)]
    assert [*metadata.requires_python.filter(versions)] == PYTHONS
    prefix = 'Programming Language :: Python :: '
    assert {*metadata.classifiers} >= {prefix + each for each in PYTHONS}
    for name, words in (('pyproject.toml', f"python_version = '{PYTHONS[0]}'"),
                        ('pyproject.toml', "target-version = 'py311'"),
                        ('.github/workflows/ci.yml', f'python: {PYTHONS}'),
                        ('README.md', 'Python 3.11, 3.12 or 3.13'),
                        ('Makefile', 'Python 3.11, 3.12 or 3.13')):
        assert words in (ROOT / name).read_text()


def test_the_version_is_the_newest_of_the_changelog(metadata):
    assert str(metadata.version) == __version__
    newest = re.search(r'^## (\S+)', (ROOT / 'CHANGELOG.md').read_text(), re.M)
    assert newest[1] == __version__


@pytest.mark.parametrize('host', [*HOSTS])
def test_an_extra_brings_the_versions_checked_on_import(host):
    lines = (ROOT / 'requirements' / f'{host}.txt').read_text().splitlines()
    asked = {each.name: each.specifier for each in map(Requirement, lines[1:])}
    assert asked == {
        distributions[0]: SpecifierSet(supported)
        for distributions, supported in (*HOSTS[host], *ALWAYS.values())
    }


def test_without_an_extra_no_host_is_brought(metadata):
    hosts = {'mmcls', 'mmpretrain', 'mmengine', 'mmcv', 'mmcv-lite', 'torch'}
    asked = metadata.requires_dist
    always = {each.name for each in asked if each.marker is None}
    assert 'numpy' in always and not hosts & always
    assert hosts & {each.name for each in asked}
    assert {each.name
            for each in asked if 'predict' in str(each.marker)
            } == {'onnxruntime', 'opencv-python'}
