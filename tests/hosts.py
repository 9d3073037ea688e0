"""Set up the environments of ``make test-hosts``, one for each other host.

    python tests/hosts.py FOLDER

FOLDER/base gets all packages of requirements/pinned.txt but mmcls, its mmcv
and mmengine. Each file NAME.txt of requirements/hosts gets FOLDER/NAME, an
environment of its own that sees base, tests/stand_ins, and this clone.
"""
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / 'requirements'
# Packages that each host brings itself.
OF_THE_HOST = 'mmcls==', 'mmcv-lite==', 'mmengine=='


def main(folder):
    base, site = create_environment(folder / 'base')
    pinned = (REQUIREMENTS / 'pinned.txt').read_text().splitlines()
    install(
        base,
        *(line for line in pinned
          if line and not line.startswith(('#', *OF_THE_HOST))))
    # Python 3.11 brings its own setuptools, which is too old.
    newer = [line for line in pinned if line.startswith('setuptools==')]
    for requirements in sorted((REQUIREMENTS / 'hosts').glob('*.txt')):
        python, own = create_environment(folder / requirements.stem)
        (own / 'shared.pth').write_text(f'{site}\n{ROOT}/tests/stand_ins\n')
        install(python, '--no-deps', '-r', requirements, *newer)
        install(python, '--no-deps', '--no-build-isolation', '-e', ROOT)


def create_environment(folder):
    """Create one anew; return its Python and its packages' folder."""
    command = [sys.executable, '-m', 'venv', '--clear', folder]
    subprocess.run(command, check=True)
    site, = folder.glob('lib/python*/site-packages')
    return folder / 'bin' / 'python', site


def install(python, *arguments):
    # Built apart from torch, onedl-mmcv leaves out its operators by itself.
    command = python, '-m', 'pip', 'install', '--disable-pip-version-check'
    subprocess.run([*command, *arguments], check=True)


if __name__ == '__main__':
    main(Path(sys.argv[1]).resolve())
