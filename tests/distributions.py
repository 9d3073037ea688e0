"""Build the distributions, and test the wheel in an environment of its own.

    python tests/distributions.py FOLDER

FOLDER gets the source distribution of this clone, and the wheel that is built
from it. The wheel is installed with the extra predict first, which brings no
torch, and must run exported files there; then with the extra mmcls.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIP = '-m', 'pip', '--disable-pip-version-check', '--quiet'
INSTALL = *PIP, 'install', '-c', ROOT / 'requirements' / 'pinned.txt'
TOOLS = 'mmcls_repmlp/.mim/tools'
SDIST = 'import sys, setuptools.build_meta as m; m.build_sdist(sys.argv[1])'
LIGHT = """import importlib.util, repmlp_lite.predict, onnxruntime, cv2
assert importlib.util.find_spec("torch") is None"""
FULL = """import mmcls, mmcls_repmlp, torch
model = mmcls.get_model('repmlp-tiny_8xb32_in1k').backbone.double().eval()
merged = mmcls_repmlp.reparameterize(model)
images = torch.rand(1, 3, 224, 224).double()
torch.testing.assert_close(merged(images), model(images))
"""


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob('mmcls_repmlp-*'):
        old.unlink()
    run(sys.executable, '-c', SDIST, folder, cwd=ROOT)
    sdist, = folder.glob('*.tar.gz')
    run(sys.executable, *PIP, 'wheel', '--no-deps', '--no-build-isolation',
        '--wheel-dir', folder, sdist)
    wheel, = folder.glob('*.whl')
    with tempfile.TemporaryDirectory() as environment:
        check(wheel, Path(environment))
    print(f'{sdist.name} and {wheel.name} are in {folder}')


def check(wheel, environment):
    """Install the wheel into an empty environment and use it there."""
    run(sys.executable, '-m', 'venv', environment)
    python = environment / 'bin' / 'python'
    site, = environment.glob('lib/python*/site-packages')
    run(python, *INSTALL, f'{wheel}[predict]')
    run(python, '-c', LIGHT)
    run(environment / 'bin' / 'repmlp', 'predict', '--help')
    run(python, site / TOOLS / 'deployment' / 'predict.py', '--help')
    run(python, *INSTALL, f'{wheel}[mmcls]')
    run(python, '-W', 'ignore', '-c', FULL)
    run(python, site / TOOLS / 'train.py', '--help')


def run(*command, cwd='/'):
    """Run a command, by default away from the clone."""
    subprocess.run(command, check=True, cwd=cwd, stdout=subprocess.DEVNULL)


if __name__ == '__main__':
    main(Path(sys.argv[1]).resolve())
