"""Exported files without anything of this package."""
import json
import re
import zipfile

import numpy as np
import onnxruntime
import openvino
import pytest
from PIL import Image

from mmcls_repmlp.jobs.export.export import export_checkpoint
from repmlp_lite.exported.card import card_of, read_card
from repmlp_lite.predict import predict
from tests.helpers import ROOT

PAGE = (ROOT / 'docs' / 'serving.md').read_text()
EXAMPLE = PAGE.split('# needs a model.onnx and a photo.jpg\n')[1].split(
    '```')[0]


def metadata(path):
    """Read the metadata of a file by the runtime's own means."""
    if path.suffix == '.onnx':
        session = onnxruntime.InferenceSession(str(path))
        return session.get_modelmeta().custom_metadata_map
    if path.suffix == '.xml':
        info = openvino.Core().read_model(path).get_rt_info(['model_info'])
        return {name: info.value[name] for name in info.value}
    with zipfile.ZipFile(path) as archive:
        return {
            name.split('/')[-1]: archive.read(name).decode()
            for name in archive.namelist() if '/extra/' in name
        }


@pytest.mark.parametrize(
    ('suffix', 'options'),
    [('.onnx', {}), ('.onnx', dict(with_preprocess=True)), ('.xml', {}),
     ('.pt2', {}), ('.onnx', dict(precision='int8', calibrate='train'))])
def test_a_file_carries_what_its_card_says(project, tmp_path, suffix, options):
    path = tmp_path / f'model{suffix}'
    if options.get('calibrate'):
        options = dict(options, calibrate=project.data / 'train')
    export_checkpoint(project.config, project.trained, path, **options)
    card, found = read_card(path), metadata(path)
    for name in ('classes', 'mean', 'std', 'channels', 'input', 'output'):
        assert json.loads(found[name]) == card[name], name
    assert card['classes'] == [*'0123456789']


@pytest.mark.parametrize(('raw', 'to_rgb'), [(False, False), (True, True)])
def test_the_example_in_plain_onnx_runtime(project, tmp_path, monkeypatch,
                                           capsys, raw, to_rgb):
    monkeypatch.chdir(tmp_path)
    # Of the model's size, so that every way to resize gives the same.
    digit = Image.open(min(project.data.glob('val/3/*.png'))).resize((32, 32))
    noise = np.random.default_rng(0).integers(0, 99, (32, 32, 3))
    pixels = np.asarray(digit.convert('RGB')) // 2 + noise
    Image.fromarray(pixels.astype(np.uint8)).save(
        'photo.jpg', quality=100, subsampling=0)
    export_checkpoint(
        project.config,
        project.trained,
        'model.onnx',
        with_preprocess=raw,
        cfg_options={'data_preprocessor.to_rgb': to_rgb})
    lines = len([line for line in EXAMPLE.splitlines() if line])
    assert lines <= 16
    capsys.readouterr()
    given = {}
    exec(EXAMPLE, given)
    printed = capsys.readouterr().out.split()
    scores = np.exp(given['scores'][0] - given['scores'][0].max())
    scores *= 100 / scores.sum()
    predict('model.onnx', ['photo.jpg'], top_k=10)
    top = re.findall(r'(\d) (\d+\.\d)%', capsys.readouterr().out)
    assert printed == [top[0][0]] and len(top) == 10
    for name, score in top:
        assert float(score) == pytest.approx(scores[int(name)], abs=0.1)
    assert card_of('model.onnx').is_file()
