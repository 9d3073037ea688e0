"""Packaging of mmcls_repmlp."""
import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


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
    description='RepMLP for mmclassification: vision MLPs that train with '
    'convolutions and merge them into fully connected layers',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['mmcls_repmlp', 'mmcls_repmlp.*']),
    install_requires=read_requirements('runtime'),
    extras_require={
        'demo': read_requirements('demo'),
        'export': read_requirements('export'),
        'tests': [
            line for name in ('demo', 'export', 'tests')
            for line in read_requirements(name)
        ],
    })
