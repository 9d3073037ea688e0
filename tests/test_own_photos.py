"""The commands of docs/own_photos.md, as they stand, on a few small photos."""
import re
import shlex

import numpy as np
import pytest
from PIL import Image

from repmlp_lite.main import run
from tests.helpers import ROOT

BLOCKS = re.findall('```bash\n(.*?)```',
                    (ROOT / 'docs' / 'own_photos.md').read_text(), re.DOTALL)
COMMANDS = [
    shlex.split(line)[1:] for line in '\n'.join(BLOCKS).splitlines()
    if line.startswith('repmlp ')
]
QUICK = '--epochs 1 --batch-size 4 --workers 0 --img-size 32'.split()


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    numbers = np.random.default_rng(0)
    for name in ('bird', 'cat'):
        folder = tmp_path / 'photos' / name
        folder.mkdir(parents=True)
        for i in range(8):
            pixels = numbers.integers(0, 256, (40, 50, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f'IMG_000{i}.jpg')
    Image.fromarray(pixels).save('new_photo.jpg')
    return tmp_path


@pytest.mark.slow
def test_five_commands_and_a_picture(photos, capsys):
    assert [command[0] for command in COMMANDS] == [
        'train', 'test', 'reparameterize', 'export', 'predict', 'classify'
    ]
    for name, *argv in COMMANDS:
        assert run([name, *argv, *QUICK * (name == 'train')
                    ]) == 0, (name, capsys.readouterr().err)
    for path in ('curves.png', 'deploy.pth', 'deploy.py', 'model.onnx.json'):
        assert (photos / 'work_dirs' / 'photos' / path).exists(), path
    assert re.search(r'new_photo.jpg: (bird|cat) \d', capsys.readouterr().out)
    assert (photos / 'bird.png').exists()
