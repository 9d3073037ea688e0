"""Set up the environments of ``make test-hosts``, one for each other host.

    python tests/hosts.py FOLDER

FOLDER/base gets all packages of requirements/pinned.txt but mmcls, its mmcv
and mmengine. Each file NAME.txt of requirements/hosts gets FOLDER/NAME, an
environment of its own that sees base, tests/stand_ins, and this clone.
"""
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / 'requirements'
# Packages that each host brings itself.
OF_THE_HOST = r'(mmcls|mmcv-lite|mmengine)=='


def main(folder: Path) -> None:
    """Make all environments anew."""
    base = _environment(folder / 'base')
    pinned = (REQUIREMENTS / 'pinned.txt').read_text().splitlines()
    shared = folder / 'pinned.txt'
    shared.write_text('\n'.join(
        line for line in pinned if not re.match(OF_THE_HOST, line)))
    _install(base, '-r', shared)
    for requirements in sorted((REQUIREMENTS / 'hosts').glob('*.txt')):
        python = _environment(folder / requirements.stem)
        seen = _site(base), ROOT / 'tests' / 'stand_ins'
        (_site(python) / 'shared.pth').write_text('\n'.join(map(str, seen)))
        # Python 3.11 puts its own setuptools there, which is too old.
        newer = [line for line in pinned if line.startswith('setuptools==')]
        _install(python, '--no-deps', '-r', requirements, *newer)
        _install(python, '--no-deps', '--no-build-isolation', '-e', ROOT)


def _environment(folder: Path) -> Path:
    command = [sys.executable, '-m', 'venv', '--clear', folder]
    subprocess.run(command, check=True)
    return folder / 'bin' / 'python'


def _install(python: Path, *arguments: str | Path) -> None:
    # Built apart from torch, onedl-mmcv leaves out its operators by itself.
    install = python, '-m', 'pip', 'install', '--disable-pip-version-check'
    subprocess.run([*install, *arguments], check=True)


def _site(python: Path) -> Path:
    site, = python.parents[1].glob('lib/python*/site-packages')
    return site


if __name__ == '__main__':
    main(Path(sys.argv[1]).resolve())
