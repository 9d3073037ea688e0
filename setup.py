"""Packaging of mmcls_repmlp."""
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

ROOT = Path(__file__).resolve().parent
# What mim, and mmcls' list of models, look for in the installed package.
MIM = ('configs', 'tools', 'demo', 'model-index.yml')


class BuildWithMim(build_py):
    """Put configs and tools into ``mmcls_repmlp/.mim`` of what is built."""

    def run(self) -> None:
        """Copy them, or for an editable installation link them."""
        super().run()
        if self.editable_mode:
            folder, put = ROOT / 'mmcls_repmlp' / '.mim', link
        else:
            folder, put = Path(self.build_lib, 'mmcls_repmlp', '.mim'), copy
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in MIM:
            put(ROOT / name, folder / name)


class EditableWithMim(editable_wheel):
    """Tell mim where the package of an editable installation is.

    mim, and mmengine by the same rule, take a package to be beside its
    metadata, or else where the first line of ``top_level.txt`` leads from
    there. After ``pip install -e .``, it is in this folder.
    """

    def _ensure_dist_info(self) -> None:
        super()._ensure_dist_info()
        names = Path(self.dist_info_dir, 'top_level.txt')
        names.write_text(f'{ROOT / "mmcls_repmlp"}\n{names.read_text()}')


def link(source: Path, target: Path) -> None:
    """Link to a sibling of the package."""
    target.symlink_to(Path('..', '..', source.name))


def copy(source: Path, target: Path) -> None:
    """Copy a file, or a folder without what Python left in it."""
    if source.is_dir():
        shutil.copytree(
            source, target, ignore=shutil.ignore_patterns('__pycache__'))
    else:
        shutil.copy(source, target)


def read_requirements(name: str) -> list[str]:
    """Read a file of requirements without its comments."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


def read_version() -> str:
    """Read the version without importing the package."""
    text = (ROOT / 'mmcls_repmlp' / 'version.py').read_text()
    return re.search(r"__version__ = '(.+)'", text)[1]


setup(
    name='mmcls_repmlp',
    version=read_version(),
    description='RepMLP for mmcls and mmpretrain: vision MLPs that train with '
    'convolutions and merge them into fully connected layers',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    # Python 3.14 has dropped pkgutil.find_loader, which mmengine calls.
    python_requires='>=3.10,<3.14',
    packages=find_packages(include=[
        'mmcls_repmlp', 'mmcls_repmlp.*', 'repmlp_lite', 'repmlp_lite.*'
    ]),
    package_data=dict(mmcls_repmlp=['py.typed']),
    cmdclass=dict(build_py=BuildWithMim, editable_wheel=EditableWithMim),
    install_requires=read_requirements('runtime'),
    extras_require={
        'mmcls': read_requirements('mmcls'),
        'mmpretrain': read_requirements('mmpretrain'),
        'demo': read_requirements('demo'),
        'cam': read_requirements('cam'),
        'export': read_requirements('export'),
        'tests': [
            line for name in ('mmcls', 'cam', 'demo', 'export', 'tests')
            for line in read_requirements(name)
        ],
    })
