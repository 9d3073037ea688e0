import numpy as np
import onnx
import pytest
import torch

from mmcls_repmlp.jobs.export import export as module_under_test
from mmcls_repmlp.jobs.export.export import export_checkpoint
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.model import build_model
from mmcls_repmlp.jobs.shared.source import open_source
from repmlp_lite.errors import JobFailedError, UserError
from repmlp_lite.exported.card import read_card
from repmlp_lite.exported.load_exported import load_exported
from tests.helpers import assert_same, load_model


@pytest.fixture
def export(project, tmp_path):
    """Export the trained model; give the file, its card and what was said."""

    def run(options=None,
            out='a.pt',
            config=project.config,
            checkpoint=project.trained,
            **arguments):
        path, lines = tmp_path / out, []
        given = dict(cfg_options=options, report=lines.append, **arguments)
        difference = export_checkpoint(config, checkpoint, path, **given)
        assert difference < 1e-4 or 'precision' in arguments
        return path, read_card(path), lines

    return run


def assert_as_trained(path, project, shape):
    """Compare an exported file with the model that it is of."""
    images = torch.randn(*shape)
    with torch.no_grad():
        expected = load_model(project.config, project.trained)(images)
    np.testing.assert_allclose(
        load_exported(path)(images.numpy()), expected, atol=1e-4)


@pytest.mark.parametrize('form', ['trained', 'merged'])
@pytest.mark.parametrize('config', ['config', 'deploy_config'])
def test_either_form_with_either_config(export, project, form, config):
    path, card, lines = export(
        config=getattr(project, config), checkpoint=getattr(project, form))
    assert [line[:5] for line in lines[:3]] == ['[1/3]', '[2/3]', '[3/3]']
    assert_as_trained(path, project, (3, 3, 32, 32))
    assert card['classes'] == list('0123456789')
    assert card['input_shape'] == [3, 32, 32]


def test_another_size_of_images(export, project):
    path, card, _ = export(shape=(32, 64))
    assert_as_trained(path, project, (2, 3, 32, 64))
    assert card['input_shape'] == [3, 32, 64]
    assert 'makes images of 32x32' in card['pipeline']


@pytest.mark.parametrize('to_rgb', [False, True])
def test_raw_images_are_prepared_as_for_the_model(export, project, to_rgb):
    options = dict(
        data_preprocessor=dict(
            mean=[10., 20., 30.], std=[40., 50., 60.], to_rgb=to_rgb))
    path, _, _ = export(options, with_preprocess=True)
    model = open_source(
        project.config, project.trained, cfg_options=options).load_model()
    rgb = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    # The data set reads BGR.
    with torch.no_grad():
        prepared = model.data_preprocessor(dict(inputs=rgb.flip(1)))['inputs']
        expected = model(prepared)
    found = load_exported(path)(rgb.numpy())
    assert_same(torch.from_numpy(found), expected, 1e-4)


@pytest.mark.parametrize('where',
                         ['data_preprocessor', 'model.data_preprocessor'])
def test_card_tells_the_models_own_normalisation(export, where):
    norm = dict(mean=[1.] * 3, std=[2.] * 3, to_rgb=True)
    kind = dict(type='ClsDataPreprocessor')
    _, card, _ = export({'data_preprocessor': kind, where: {**kind, **norm}})
    assert (card['mean'], card['std']) == ([1.] * 3, [2.] * 3)
    assert card['channels'] == 'RGB'


PAD = 'data_preprocessor.pad_size_divisor'


@pytest.mark.parametrize(('out', 'arguments', 'message'), [
    ('a.onnx', dict(precision='bf16'), 'cannot be written in bf16'),
    ('a.pt', dict(options={'model.neck.type': 'GeneralizedMeanPooling'}),
     'cannot be fused|does not fit'),
    ('there.pt', dict(config='no.py'), 'there.pt.json.*exists'),
    ('a.pt', dict(opset=18), 'opset=18` is for .onnx files'),
    ('a.onnx', dict(opset=17), 'choose from 18, which torch writes, to '),
    ('a.onnx', dict(opset=999), 'opset=999` cannot be written'),
    ('a.onnx', dict(precision='int8', calibrate='data',
                    opset=18), 'not quantized: leave it out'),
    ('a.onnx', dict(precision='int8',
                    calibrate='/nowhere'), 'calibrate=/nowhere` is no folder'),
    ('a.pt', dict(shape=(40, 32)), 'images of 40x32 do not fit'),
    ('a.pt', dict(options={PAD: 20}), 'pads images to multiples of 20'),
    ('a.pt', dict(options={PAD: 64},
                  shape=(32, 64)), 'pads images to multiples of 64'),
])
def test_what_cannot_be_exported(export, tmp_path, out, arguments, message):
    (tmp_path / 'there.pt.json').write_text('precious')
    with pytest.raises(UserError, match=message):
        export(out=out, **arguments)
    assert {path.name for path in tmp_path.iterdir()} == {'there.pt.json'}


@pytest.mark.parametrize(('options', 'verified_on'),
                         [({}, '20 images of the test data, against fp32'),
                          (dict(test_dataloader=None), 'random images')])
def test_half_precision_is_verified_on_test_images(export, options,
                                                   verified_on):
    _, card, lines = export(options, precision='bf16')
    assert (card['precision'], card['verified_on']) == ('bf16', verified_on)
    assert lines[-1].endswith(f'on {verified_on}')


def test_an_overflow_on_test_images_is_named(export, tmp_path, monkeypatch):
    # Half of the images are bright: noise, of mean 0, stays within bounds.
    monkeypatch.setattr(
        module_under_test, 'some_images', lambda *_:
        [np.full((2, 3, 32, 32), 1e5 * i, np.float32) for i in (0, 1)])
    with pytest.raises(
            JobFailedError,
            match='2 of 12 images give NaN or '
            'infinity in fp16.*precision=bf16'):
        export(precision='fp16')
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('out', 'message'), [('a.txt', 'no suffix of a format'),
                         ('a.onnx', r'pip install "mmcls_repmlp\[export\]"$')])
def test_suffix_and_packages_come_first(export, monkeypatch, out, message):
    monkeypatch.setattr('repmlp_lite.exported.load_exported.find_spec',
                        lambda name: None)
    with pytest.raises(UserError, match=message):
        export(out=out, config='no.py', checkpoint='no.pth')


def test_opset(export):
    path, _, _ = export(out='a.onnx', opset=20)
    used, = onnx.load(path).opset_import
    assert (used.domain, used.version) == ('', 20)


def test_grey_images(export, project, tmp_path):
    options = {
        'model.backbone.in_channels': 1,
        'data_preprocessor': dict(mean=None, std=None)
    }
    grey = build_model(read_config(project.config, options))
    torch.save(dict(state_dict=grey.state_dict()), tmp_path / 'grey.pth')
    path, card, _ = export(
        options, checkpoint=tmp_path / 'grey.pth', with_preprocess=True)
    assert card['input_shape'] == [1, 32, 32] and card['mean'] == [0.]
    images = np.zeros((2, 1, 32, 32), np.uint8)
    assert load_exported(path)(images).shape == (2, 10)
