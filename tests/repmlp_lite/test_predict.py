import json
import re
import shutil

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmcls_repmlp.jobs.export.export import export_checkpoint
from repmlp_lite.errors import JobFailedError
from repmlp_lite.exported.card import card_of, digests
from repmlp_lite.predict import predict
from tests.helpers import ROOT, load_model
from tests.programs import call, run_python

# Runs a program where none of these can be imported.
ALONE = """
import runpy, sys
for name in ('torch', 'mmcls', 'mmpretrain', 'mmengine', 'mmcv'):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


@pytest.fixture(scope='module')
def exported(project, tmp_path_factory):
    """The digits model as ONNX, for normalised images."""
    path = tmp_path_factory.mktemp('exported') / 'a.onnx'
    export_checkpoint(project.config, project.trained, path)
    return path


@pytest.fixture
def model_file(exported, tmp_path):
    for path in (exported, card_of(exported)):
        shutil.copy(path, tmp_path)
    return tmp_path / 'a.onnx'


def coloured(image, folder):
    """Colour a grey image, so that the order of channels tells."""
    pixels = np.asarray(Image.open(image).convert('RGB')) * [1., 0.5, 0.]
    Image.fromarray(pixels.astype(np.uint8)).save(folder / 'coloured.png')
    return folder / 'coloured.png'


def assert_scores(said, project, image):
    """Compare what was printed with the model's own scores."""
    model = load_model(project.config, project.trained)
    pixels = cv2.resize(
        np.asarray(Image.open(image).convert('RGB')), (32, 32),
        interpolation=cv2.INTER_CUBIC)
    ready = (pixels[..., ::-1].transpose(2, 0, 1) - np.float32(78)) / 96
    with torch.no_grad():
        scores = 100 * model(torch.from_numpy(ready)[None])[0].softmax(0)
    found = re.fullmatch(
        rf'{re.escape(str(image))}: ' + ', '.join([r'(\d) (\d+\.\d)%'] * 5) +
        '\n', said).groups()
    # Rounded to a tenth, which the last bits of a float may tip over.
    for wanted in (scores.topk(5).values.tolist(),
                   [scores[int(name)].item() for name in found[::2]]):
        assert [*map(float, found[1::2])] == pytest.approx(wanted, abs=0.051)


def call_predict(*argv):
    return call('predict', *argv)


def edit(model_file, **changes):
    """Change entries of the card."""
    card = json.loads(card_of(model_file).read_text())
    card_of(model_file).write_text(json.dumps({**card, **changes}))


def test_runs_where_only_the_light_package_and_onnx_runtime_are(
        project, model_file, image, tmp_path):
    shutil.copytree(ROOT / 'repmlp_lite', tmp_path / 'site' / 'repmlp_lite')
    script = shutil.copy(ROOT / 'tools' / 'deployment' / 'predict.py',
                         tmp_path)
    image = coloured(image, tmp_path)
    argv = '-c', ALONE, script, model_file, image
    site = str(tmp_path / 'site')
    done = run_python(*argv, cwd=tmp_path, PYTHONPATH=site)
    assert done.returncode == 0, done.stderr
    assert_scores(done.stdout, project, image)


@pytest.mark.parametrize('suffix', ['.xml', '.pt2'])
def test_other_formats_with_raw_images(project, tmp_path, image, capsys,
                                       suffix):
    path, image = tmp_path / f'a{suffix}', coloured(image, tmp_path)
    export_checkpoint(
        project.config, project.trained, path, with_preprocess=True)
    assert call_predict(path, image) == (2 if suffix == '.pt2' else 0)
    if suffix == '.pt2':
        assert 'trust the file, pass --trust' in capsys.readouterr().err
        assert call_predict(path, image, '--trust') == 0
    assert_scores(capsys.readouterr().out.splitlines(True)[-1], project, image)


@pytest.mark.parametrize(
    ('argv', 'code', 'message'),
    [(['no.onnx', 'IMAGE'], 2, 'is not a file'),
     (['FILE', 'FOLDER'], 2, 'no image in folder'),
     (['FILE', 'IMAGE', '--top-k', '0'], 2, '--top-k 0 cannot be used'),
     (['no.onnx', 'IMAGE', '--out', 'a.txt'], 2, 'wrong suffix for a table'),
     (['no.onnx', 'IMAGE', '--out', 'TABLE'], 2, '--force'),
     (['FILE', 'IMAGE', '--out', 'CARD', '--force'], 2, 'would be lost'),
     (['FILE', 'FILE'], 1, "a.onnx' cannot be read as an image")])
def test_wrong_arguments(model_file, image, capsys, argv, code, message):
    table = model_file.with_suffix('.csv')
    table.write_text('precious')
    words = dict(
        FILE=model_file,
        CARD=card_of(model_file),
        IMAGE=image,
        FOLDER=model_file.parent,
        TABLE=table)
    assert call_predict(*(words.get(word, word) for word in argv)) == code
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert table.read_text() == 'precious'


def spoil(model_file, card=True):
    model_file.write_bytes(b'hello')
    if card:
        edit(model_file, files=digests(model_file))


@pytest.mark.parametrize(('change', 'code', 'message'), [
    (lambda file: card_of(file).unlink(), 2, "a.onnx.json' does not exist"),
    (lambda file: card_of(file).write_text('{}'), 1,
     'input_shape cannot be None'),
    (lambda file: spoil(file, card=False), 2, 'is not what the card'),
    (spoil, 1, 'cannot be read as .onnx'),
    (dict(output='embedding'), 2, 'gives embeddings, not classes'),
    (dict(pipeline='it is \x1b[31mred'), 2, 'it is ?[31mred'),
    (dict(pipeline=[]), 1, 'cannot be followed'),
    (dict(input_shape=[3, 64, 64]), 2, 'its card says'),
    (dict(classes=['a']), 2, '10 logits and its card names 1 class'),
    (dict(input='uint8 RGB'), 2, 'takes float32 images'),
    (dict(mean=[0.] * 3, std=[1e-38] * 3), 1, 'NaN'),
])
def test_files_that_do_not_fit(model_file, image, capsys, change, code,
                               message):
    change(model_file) if callable(change) else edit(model_file, **change)
    assert call_predict(model_file, image) == code
    error, = capsys.readouterr().err.splitlines()
    assert message in error


def test_an_image_of_another_shape_is_named(model_file, tmp_path):
    card = json.loads(card_of(model_file).read_text())
    edit(model_file, pipeline=card['pipeline'][:1])
    Image.new('RGB', (48, 32)).save(tmp_path / 'a.png')
    with pytest.raises(JobFailedError, match=r'shape \(3, 32, 48\) by the'):
        predict(model_file, [tmp_path / 'a.png'])


def test_many_give_what_each_gives_alone(model_file, project, tmp_path,
                                         capsys):
    folder = tmp_path / 'photos'
    shutil.copytree(project.data / 'val', folder)
    (folder / '3' / 'bad.png').write_text('no image')
    out, alone = tmp_path / 'a.json', tmp_path / 'alone.json'
    assert call_predict(model_file, folder, '--out', out, '--batch-size', 7,
                        '--top-k', 10) == 1
    said = capsys.readouterr()
    assert said.err.startswith('skipped: ') and 'bad.png' in said.err
    assert '1 of 21 images were skipped' in said.err.splitlines()[-1]
    rows = table(out)
    assert said.out == f'20 of 21 images are in {out}\n' and len(rows) == 20
    for image, top in rows:
        predict(model_file, [image], out=alone, force=True, top_k=10)
        (_, single), = table(alone)
        assert len(top) == len(single) == 10
        assert top == pytest.approx(single, rel=0, abs=1e-6)


def table(path):
    """Images of a table, each with the scores of its classes."""
    return [(row['image'], dict(map(dict.values, row['top'])))
            for row in json.loads(path.read_text())]
