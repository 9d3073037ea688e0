import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from mmcls_repmlp import fuse_for_inference
from mmcls_repmlp.apis import export
from mmcls_repmlp.apis.config import read_config
from mmcls_repmlp.apis.export import export_checkpoint
from mmcls_repmlp.apis.model import build_model, load_model
from mmcls_repmlp.deploy.artefact import load_artefact
from mmcls_repmlp.errors import UserError
from tests.helpers import ROOT, assert_same

PREDICT = ROOT / 'tools' / 'deployment' / 'predict.py'


@pytest.mark.parametrize('form', ['trained', 'merged'])
@pytest.mark.parametrize('config', ['config', 'deploy_config'])
def test_either_form_with_either_config(project, tmp_path, form, config):
    out = tmp_path / 'a.pt2'
    lines = []
    assert export_checkpoint(getattr(project, config), getattr(project, form),
                             out, report=lines.append) < 1e-4
    assert [line[:5] for line in lines[:3]] == ['[1/3]', '[2/3]', '[3/3]']
    images = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        expected = load_model(project.config, project.trained)(images)
    np.testing.assert_allclose(load_artefact(out)(images.numpy()), expected,
                               atol=1e-4)
    card = json.loads((tmp_path / 'a.pt2.json').read_text())
    assert card['classes'] == list('0123456789')
    assert card['input_shape'] == [3, 32, 32]


def test_another_size_of_images(project, tmp_path):
    out = tmp_path / 'a.onnx'
    export_checkpoint(project.config, project.trained, out, shape=(32, 64),
                      report=lambda line: None)
    images = torch.randn(2, 3, 32, 64)
    with torch.no_grad():
        expected = load_model(project.config, project.trained)(images)
    np.testing.assert_allclose(load_artefact(out)(images.numpy()), expected,
                               atol=1e-4)
    card = json.loads((tmp_path / 'a.onnx.json').read_text())
    assert card['input_shape'] == [3, 32, 64]


@pytest.mark.parametrize(('suffix', 'arguments'), [
    ('.onnx', []), ('.pt2', ['--with-preprocess'])])
def test_predicting_from_the_file_alone(project, tmp_path, suffix, arguments):
    out = tmp_path / f'a{suffix}'
    export_checkpoint(project.config, project.trained, out,
                      with_preprocess=bool(arguments),
                      report=lambda line: None)
    image = next(project.data.glob('val/3/*.png'))
    # A meta path finder in place of mmcls shows that it is not imported.
    code = ('import sys; sys.modules["mmcls"] = sys.modules["mmcls_repmlp"] = '
            f'None; sys.argv = {["predict", str(out), str(image)]!r}; '
            f'import runpy; runpy.run_path({str(PREDICT)!r}, '
            'run_name="__main__")')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    pixels = np.asarray(Image.open(image).convert('RGB').resize(
        (32, 32), Image.Resampling.BICUBIC), np.float32)
    model = load_model(project.config, project.trained)
    with torch.no_grad():
        scores = model(torch.from_numpy((pixels - 78) / 96).permute(
            2, 0, 1)[None])[0].softmax(0)
    said = re.fullmatch(
        rf'{re.escape(str(image))}: ' + ', '.join([r'(\d) (\d+\.\d)%'] * 5)
        + '\n', done.stdout).groups()
    # Rounded to a tenth, which the last bits of a float may tip over.
    assert [*map(float, said[1::2])] == pytest.approx(
        (100 * scores.topk(5).values).tolist(), abs=0.051)
    assert [*map(float, said[1::2])] == pytest.approx(
        [100 * scores[int(name)].item() for name in said[::2]], abs=0.051)


@pytest.mark.parametrize('to_rgb', [False, True])
def test_raw_images_are_prepared_as_for_the_model(project, to_rgb):
    cfg = read_config(project.config, {'data_preprocessor': dict(
        mean=[10., 20., 30.], std=[4., 5., 6.], to_rgb=to_rgb)})
    model = build_model(cfg)
    fused = fuse_for_inference(model)
    rgb = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    # The data set reads BGR.
    prepared = model.data_preprocessor(dict(inputs=rgb.flip(1)))['inputs']
    served = export._served(fused, model, with_preprocess=True)
    assert_same(served(rgb), fused(prepared), 1e-4)
    assert served.reverse_channels is not to_rgb


@pytest.mark.parametrize('where', ['data_preprocessor',
                                   'model.data_preprocessor'])
def test_card_tells_the_models_own_normalisation(project, tmp_path, where):
    options = {'data_preprocessor': dict(type='ClsDataPreprocessor'),
               where: dict(type='ClsDataPreprocessor', mean=[1.] * 3,
                           std=[2.] * 3, to_rgb=True)}
    export_checkpoint(project.config, project.trained, tmp_path / 'a.pt',
                      cfg_options=options, report=lambda line: None)
    card = json.loads((tmp_path / 'a.pt.json').read_text())
    assert (card['mean'], card['std']) == ([1.] * 3, [2.] * 3)
    assert card['channels'] == 'RGB'


@pytest.mark.parametrize(('arguments', 'message'), [
    (['no.onnx', 'IMAGE'], "'no.onnx' does not exist"),
    (['FILE', 'no.png'], "'no.png' does not exist"),
    (['FILE', 'FILE'], 'is no image')])
def test_wrong_arguments_of_predict(project, tmp_path, arguments, message):
    out = tmp_path / 'a.pt'
    export_checkpoint(project.config, project.trained, out,
                      report=lambda line: None)
    paths = dict(FILE=out, IMAGE=next(project.data.glob('val/3/*.png')))
    done = subprocess.run(
        [sys.executable, PREDICT, *(paths.get(a, a) for a in arguments)],
        capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr and 'Traceback' not in done.stderr


@pytest.mark.parametrize(('out', 'kwargs', 'message'), [
    ('a.onnx', dict(precision='bf16'), 'cannot be written in bf16'),
    ('a.txt', {}, 'no suffix of a format'),
    ('a.pt', dict(cfg_options={'model.neck.type': 'GeneralizedMeanPooling'}),
     'cannot be fused|does not fit'),
    ('there.pt', {}, 'there.pt.json.*exists'),
    ('a.pt', dict(shape=(40, 32)), 'images of 40x32 do not fit'),
])
def test_what_cannot_be_exported(project, tmp_path, out, kwargs, message):
    (tmp_path / 'there.pt.json').write_text('precious')
    with pytest.raises(UserError, match=message):
        export_checkpoint(project.config, project.trained, tmp_path / out,
                          report=lambda line: None, **kwargs)
    assert {path.name for path in tmp_path.iterdir()} == {'there.pt.json'}
