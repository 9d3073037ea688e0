import json

import pytest
import torch
from PIL import Image

from mmcls_repmlp import create_model, reparameterize, save_model
from mmcls_repmlp.checkpoints import read_checkpoint
from repmlp_lite.errors import UserError
from tests.helpers import TINY, assert_same, randomize
from tests.programs import call

NAMES = ('cat', 'dog', 'owl')


@pytest.fixture
def model():
    return randomize(
        create_model('repmlpnet_t', num_classes=3, img_size=32, arch=TINY))


def test_every_command_takes_it(model, tmp_path, digits, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.new('RGB', (40, 40), (200, 10, 60)).save('a.png')
    for name in NAMES:
        folder = tmp_path / 'photos' / name
        folder.mkdir(parents=True)
        Image.new('RGB', (50, 40), (99, 9, 9)).save(folder / 'a.jpg')
    save_model(model, 'plain.pth', NAMES)
    for line in ('reparameterize plain.pth merged.pth',
                 'publish plain.pth small.safetensors',
                 'resize plain.py plain.pth large.pth --to 64',
                 'convert plain.pth official.pth --to-official',
                 'locality plain.py plain.pth locality.png',
                 'cam a.png plain.pth --out cam.png',
                 'flops plain.py --both-forms', 'test plain.pth --data photos',
                 'classify a.png plain.pth --out scores.json',
                 'classify a.png merged.pth --out merged.json --force',
                 'export merged.pth merged.onnx',
                 'predict merged.onnx a.png --out exported.json'):
        assert call(*line.split()) == 0, (line, capsys.readouterr().err)
    tables = [json.loads((tmp_path / f'{name}.json').read_text())
              for name in ('scores', 'merged', 'exported')]  # yapf: disable
    scores = [sorted(str(table).split()) for table in tables]
    assert all(name in str(tables[0]) for name in NAMES), tables[0]
    assert len({len(words) for words in scores}) == 1


def test_it_is_read_again(model, tmp_path):
    for deploy in (False, True):
        path = tmp_path / f'{deploy}.pth'
        if deploy:
            model = reparameterize(model)
        save_model(model, path)
        again = create_model(
            'repmlpnet_t',
            num_classes=3,
            img_size=32,
            arch=TINY,
            checkpoint_path=path)
        images = torch.rand(2, 3, 32, 32)
        assert_same(again.eval()(images), model.eval()(images), 0)
        assert 'dataset_meta' not in read_checkpoint(path)['meta']
        assert path.with_suffix('.py').is_file()


@pytest.mark.parametrize(('name', 'classes', 'words'), [
    ('a.onnx', (), 'a.onnx.*pth'),
    ('a.pth', ('cat', 'dog'), '2 names of classes are given for 3 outputs'),
])
def test_what_cannot_be_written(model, tmp_path, name, classes, words):
    with pytest.raises(UserError, match=words):
        save_model(model, tmp_path / name, classes)
    assert not [*tmp_path.iterdir()]


def test_nothing_is_replaced_silently(model, tmp_path):
    (tmp_path / 'a.py').write_text('mine')
    with pytest.raises(UserError, match='a.py'):
        save_model(model, tmp_path / 'a.pth')
    assert [path.name for path in tmp_path.iterdir()] == ['a.py']
    save_model(model, tmp_path / 'a.pth', force=True)
