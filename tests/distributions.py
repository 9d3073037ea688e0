"""Build the distributions, and test the wheel in an environment of its own.

    python tests/distributions.py FOLDER

FOLDER gets the source distribution of this clone, and the wheel that is built
from it. The wheel is installed without torch and host first, where the tools
for exported files must run; then with the extra mmcls.
"""
from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PINNED = ROOT / 'requirements' / 'pinned.txt'
PIP = '-m', 'pip', '--disable-pip-version-check', '--quiet'
TOOLS = 'mmcls_repmlp/.mim/tools'
SDIST = 'import sys, setuptools.build_meta as m; m.build_sdist(sys.argv[1])'
LIGHT = 'import repmlp_lite.predict, sys; assert "torch" not in sys.modules'
FULL = """import mmcls, mmcls_repmlp, torch
model = mmcls.get_model('repmlp-tiny_8xb32_in1k').backbone.double().eval()
merged = mmcls_repmlp.reparameterize(model)
images = torch.rand(1, 3, 224, 224).double()
torch.testing.assert_close(merged(images), model(images))
"""


def main(folder: Path) -> None:
    """Build both and test the wheel."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob('mmcls_repmlp-*'):
        old.unlink()
    run(sys.executable, '-c', SDIST, folder, cwd=ROOT)
    sdist, = folder.glob('*.tar.gz')
    run(sys.executable, *PIP, 'wheel', '--no-deps', '--no-build-isolation',
        '--wheel-dir', folder, sdist)
    wheel, = folder.glob('*.whl')
    with tempfile.TemporaryDirectory() as temporary:
        check(wheel, Path(temporary) / 'venv')
    print(f'{sdist.name} and {wheel.name} are in {folder}')


def check(wheel: Path, environment: Path) -> None:
    """Install the wheel into an empty environment and use it there."""
    run(sys.executable, '-m', 'venv', environment)
    python = environment / 'bin' / 'python'
    run(python, *PIP, 'install', '-c', PINNED, *light_requirements())
    run(python, *PIP, 'install', '--no-deps', wheel)
    run(python, '-c', LIGHT)
    site, = environment.glob('lib/python*/site-packages')
    run(python, site / TOOLS / 'deployment' / 'predict.py', '--help')
    run(python, *PIP, 'install', '-c', PINNED, f'{wheel}[mmcls]')
    run(python, '-W', 'ignore', '-c', FULL)
    run(python, site / TOOLS / 'train.py', '--help')


def light_requirements() -> Iterable[str]:
    """Yield the requirements of the package, without torch."""
    lines = (ROOT / 'requirements' / 'runtime.txt').read_text().splitlines()
    for line in lines:
        if not line.startswith('#') and Requirement(line).name != 'torch':
            yield line


def run(*command: str | Path, cwd: Path | str = '/') -> None:
    """Run a command, by default away from the clone."""
    subprocess.run(command, check=True, cwd=cwd, stdout=subprocess.DEVNULL)


if __name__ == '__main__':
    main(Path(sys.argv[1]).resolve())
