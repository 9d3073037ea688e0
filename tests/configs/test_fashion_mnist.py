"""Every command, on networks and data of 28x28 arrays instead of files."""
from pathlib import Path

import mmcv
import numpy as np
import pytest

from mmcls_repmlp.jobs.shared.config import read_config
from tests.helpers import CONFIGS
from tests.programs import call

# Those that merge.
NETWORKS = sorted(
    path.name.replace('_deploy_', '_', 1)
    for path in CONFIGS.glob('*_deploy_*_fashion-mnist.py'))
COUNTS = dict(train=40, t10k=20)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Files as those of Fashion-MNIST, with as many images as counted."""
    folder = tmp_path / 'data' / 'fashion-mnist'
    random = np.random.RandomState(0)
    folder.mkdir(parents=True)
    for part, count in COUNTS.items():
        images = random.randint(256, size=(count, 28, 28), dtype=np.uint8)
        for kind, array in (('images-idx3', images), ('labels-idx1',
                                                      np.arange(count) % 10)):
            head = bytes([0, 0, 8, array.ndim]) + b''.join(
                size.to_bytes(4, 'big') for size in array.shape)
            (folder / f'{part}-{kind}-ubyte'
             ).write_bytes(head + array.astype(np.uint8).tobytes())
    mmcv.imwrite(images[0], str(tmp_path / 'image.png'))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_images_that_validate_do_not_train():
    cfg = read_config(CONFIGS / NETWORKS[0])
    train, val, test = (
        cfg[f'{part}_dataloader'].dataset for part in ('train', 'val', 'test'))
    assert (train.indices, val.indices) == (55000, -5000)  # of 60,000
    assert not train.test_mode and not val.test_mode and test.test_mode
    assert 'indices' not in test


# The host's data set converts labels one by one in an old way.
@pytest.mark.filterwarnings('ignore:__array__ implementation')
@pytest.mark.parametrize('name', NETWORKS)
def test_trained_merged_tested_drawn_and_exported(data, capsys, name):
    workers = [
        f'{part}_dataloader.{setting}' for part in ('train', 'val', 'test')
        for setting in ('num_workers=0', 'persistent_workers=False')
    ]
    options = [
        '--cfg-options', 'train_dataloader.dataset.indices=32',
        'val_dataloader.dataset.indices=-8', 'train_dataloader.batch_size=16',
        *workers
    ]
    config = CONFIGS / name
    deploy = CONFIGS / name.replace('_', '_deploy_', 1)
    assert call('train', config, '--work-dir', 'run', '--epochs', 1,
                *options) == 0
    output = capsys.readouterr().out
    assert '32 images to train on, 8 to validate' in output
    assert 'tested 20 images' in output
    trained = 'run/epoch_1.pth'
    assert call('reparameterize', config, trained, 'merged.pth') == 0
    assert call('test', deploy, 'merged.pth', '--work-dir', 'test',
                '--show-dir', 'pictures', '--cfg-options', *workers) == 0
    assert call('export', deploy, 'merged.pth', 'merged.onnx') == 0
    for command in (('classify', 'image.png', deploy, 'merged.pth'),
                    ('predict', 'merged.onnx', 'image.png')):
        capsys.readouterr()
        assert call(*command) == 0
        assert 'Sneaker' in capsys.readouterr().out
    for picture in (('locality', config, trained, 'locality.png'),
                    ('cam', 'image.png', config, trained, '--out', 'cam.png'),
                    ('browse', config, 'samples', '-n', 2, *options)):
        assert call(*picture) == 0
    assert Path('locality.png').stat().st_size > 1000
    assert len([*Path('samples').iterdir()]) == 2
