import numpy as np
import onnx
import pytest
import torch

from mmcls_repmlp.apis import export
from mmcls_repmlp.apis._shared.config import read_config
from mmcls_repmlp.apis._shared.model import build_model, fill_model, load_model
from mmcls_repmlp.apis.export import export_checkpoint
from mmcls_repmlp.deploy.exported.card import read_card
from mmcls_repmlp.deploy.exported.load_exported import load_exported
from mmcls_repmlp.errors import JobFailedError, UserError
from tests.helpers import assert_same


@pytest.mark.parametrize('form', ['trained', 'merged'])
@pytest.mark.parametrize('config', ['config', 'deploy_config'])
def test_either_form_with_either_config(project, tmp_path, form, config):
    out = tmp_path / 'a.pt'
    lines = []
    assert export_checkpoint(
        getattr(project, config),
        getattr(project, form),
        out,
        report=lines.append) < 1e-4
    assert [line[:5] for line in lines[:3]] == ['[1/3]', '[2/3]', '[3/3]']
    images = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        expected = load_model(project.config, project.trained)(images)
    np.testing.assert_allclose(
        load_exported(out)(images.numpy()), expected, atol=1e-4)
    card = read_card(out)
    assert card['classes'] == list('0123456789')
    assert card['input_shape'] == [3, 32, 32]


def test_another_size_of_images(project, tmp_path):
    out = tmp_path / 'a.pt'
    export_checkpoint(
        project.config,
        project.trained,
        out,
        shape=(32, 64),
        report=lambda line: None)
    images = torch.randn(2, 3, 32, 64)
    with torch.no_grad():
        expected = load_model(project.config, project.trained)(images)
    np.testing.assert_allclose(
        load_exported(out)(images.numpy()), expected, atol=1e-4)
    card = read_card(out)
    assert card['input_shape'] == [3, 32, 64]
    assert 'makes images of 32x32' in card['pipeline']


@pytest.mark.parametrize('to_rgb', [False, True])
def test_raw_images_are_prepared_as_for_the_model(project, tmp_path, to_rgb):
    options = dict(
        data_preprocessor=dict(
            mean=[10., 20., 30.], std=[40., 50., 60.], to_rgb=to_rgb))
    export_checkpoint(
        project.config,
        project.trained,
        tmp_path / 'a.pt',
        with_preprocess=True,
        cfg_options=options,
        report=lambda line: None)
    model, _ = fill_model(
        read_config(project.config, options), project.trained)
    rgb = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    # The data set reads BGR.
    with torch.no_grad():
        prepared = model.data_preprocessor(dict(inputs=rgb.flip(1)))['inputs']
        expected = model(prepared)
    found = load_exported(tmp_path / 'a.pt')(rgb.numpy())
    assert_same(torch.from_numpy(found), expected, 1e-4)


@pytest.mark.parametrize('where',
                         ['data_preprocessor', 'model.data_preprocessor'])
def test_card_tells_the_models_own_normalisation(project, tmp_path, where):
    options = {
        'data_preprocessor': dict(type='ClsDataPreprocessor'),
        where: dict(
            type='ClsDataPreprocessor',
            mean=[1.] * 3,
            std=[2.] * 3,
            to_rgb=True)
    }
    export_checkpoint(
        project.config,
        project.trained,
        tmp_path / 'a.pt',
        cfg_options=options,
        report=lambda line: None)
    card = read_card(tmp_path / 'a.pt')
    assert (card['mean'], card['std']) == ([1.] * 3, [2.] * 3)
    assert card['channels'] == 'RGB'


@pytest.mark.parametrize(('out', 'kwargs', 'message'), [
    ('a.onnx', dict(precision='bf16'), 'cannot be written in bf16'),
    ('a.txt', {}, 'no suffix of a format'),
    ('a.pt', dict(cfg_options={'model.neck.type': 'GeneralizedMeanPooling'}),
     'cannot be fused|does not fit'),
    ('there.pt', {}, 'there.pt.json.*exists'),
    ('a.pt', dict(opset=18), 'opset=18` is for .onnx files'),
    ('a.onnx', dict(opset=17), 'choose from 18, which torch writes, to '),
    ('a.onnx', dict(opset=999), 'opset=999` cannot be written'),
    ('a.onnx', dict(precision='int8', calibrate='data',
                    opset=18), 'not quantized: leave it out'),
    ('a.onnx', dict(precision='int8',
                    calibrate='/nowhere'), 'calibrate=/nowhere` is no folder'),
    ('a.pt', dict(shape=(40, 32)), 'images of 40x32 do not fit'),
    ('a.pt', dict(cfg_options={'data_preprocessor.pad_size_divisor': 20}),
     'pads images to multiples of 20'),
    ('a.pt',
     dict(
         shape=(32, 64),
         cfg_options={'data_preprocessor.pad_size_divisor': 64
                      }), 'pads images to multiples of 64'),
    ('a.pt',
     dict(
         cfg_options={
             'test_dataloader.dataset.pipeline': [
                 dict(type='LoadImageFromFile'),
                 dict(type='RandomFlip', prob=1.)
             ]
         }), 'RandomFlip is not known'),
])
def test_what_cannot_be_exported(project, tmp_path, out, kwargs, message):
    (tmp_path / 'there.pt.json').write_text('precious')
    with pytest.raises(UserError, match=message):
        export_checkpoint(
            project.config,
            project.trained,
            tmp_path / out,
            report=lambda line: None,
            **kwargs)
    assert {path.name for path in tmp_path.iterdir()} == {'there.pt.json'}


@pytest.mark.parametrize(('options', 'verified_on'),
                         [({}, '20 images of the test data, against fp32'),
                          ({
                              'test_dataloader.dataset.data_root': '/nowhere'
                          }, 'random images'),
                          ({
                              'test_dataloader': None
                          }, 'random images')])
def test_half_precision_is_verified_on_test_images(project, tmp_path, options,
                                                   verified_on):
    lines = []
    export_checkpoint(
        project.config,
        project.trained,
        tmp_path / 'a.pt',
        precision='bf16',
        cfg_options=options,
        report=lines.append)
    card = read_card(tmp_path / 'a.pt')
    assert (card['precision'], card['verified_on']) == ('bf16', verified_on)
    assert lines[-1].endswith(f'on {verified_on}')


def test_an_overflow_on_test_images_is_named(project, tmp_path, monkeypatch):
    # Half of the images are bright: noise, of mean 0, stays within bounds.
    monkeypatch.setattr(
        export, 'some_images', lambda *_:
        [np.full((2, 3, 32, 32), 1e5 * i, np.float32) for i in (0, 1)])
    with pytest.raises(
            JobFailedError,
            match='2 of 12 images give NaN or '
            'infinity in fp16.*precision=bf16'):
        export_checkpoint(
            project.config,
            project.trained,
            tmp_path / 'a.pt',
            precision='fp16',
            report=lambda line: None)
    assert not any(tmp_path.iterdir())


def test_an_existing_part_is_refused_before_anything_is_read(
        project, tmp_path):
    (tmp_path / 'a.onnx.data').write_text('precious')
    lines = []
    with pytest.raises(UserError, match="a.onnx.data' exists"):
        export_checkpoint(
            project.config,
            project.trained,
            tmp_path / 'a.onnx',
            report=lines.append)
    assert not lines


@pytest.mark.parametrize(('out', 'message'),
                         [('a.txt', 'no suffix of a format'),
                          ('a.onnx', r'pip install "mmcls_repmlp\[export\]"$'),
                          ('a.xml', r'pip install "mmcls_repmlp\[export\]"$')])
def test_suffix_and_packages_come_first(tmp_path, monkeypatch, out, message):
    monkeypatch.setattr('mmcls_repmlp.deploy.exported.load_exported.find_spec',
                        lambda name: None)
    with pytest.raises(UserError, match=message):
        export_checkpoint('no.py', 'no.pth', tmp_path / out)


def test_opset(project, tmp_path):
    export_checkpoint(
        project.config,
        project.trained,
        tmp_path / 'a.onnx',
        opset=20,
        report=lambda line: None)
    used, = onnx.load(tmp_path / 'a.onnx').opset_import
    assert (used.domain, used.version) == ('', 20)


def test_grey_images(project, tmp_path):
    options = {
        'model.backbone.in_channels': 1,
        'data_preprocessor': dict(mean=None, std=None)
    }
    cfg = read_config(project.config, options)
    torch.save(
        dict(state_dict=build_model(cfg).state_dict()), tmp_path / 'grey.pth')
    export_checkpoint(
        project.config,
        tmp_path / 'grey.pth',
        tmp_path / 'a.pt',
        with_preprocess=True,
        cfg_options=options,
        report=lambda line: None)
    card = read_card(tmp_path / 'a.pt')
    assert card['input_shape'] == [1, 32, 32] and card['mean'] == [0.]
    run = load_exported(tmp_path / 'a.pt')
    assert run(np.zeros((2, 1, 32, 32), np.uint8)).shape == (2, 10)
