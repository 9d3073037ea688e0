from unittest.mock import Mock

import pytest
import torch

from mmcls_repmlp.jobs.export import export as module_under_test
from mmcls_repmlp.jobs.export.export import export_checkpoint
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.model import build_model
from mmcls_repmlp.jobs.shared.source import open_source
from repmlp_lite.errors import UserError
from repmlp_lite.exported.card import read_card
from repmlp_lite.exported.load_exported import load_exported
from tests.helpers import assert_same, load_model


@pytest.fixture
def export(project, tmp_path, capsys):
    """Export the trained model; return the file, its card and the output."""

    def run(options=None,
            out='a.pt2',
            config=project.config,
            checkpoint=project.trained,
            **arguments):
        path = tmp_path / out
        difference = export_checkpoint(
            config, checkpoint, path, cfg_options=options, **arguments)
        assert difference < 1e-4 or 'precision' in arguments
        return path, read_card(path), capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def wrap(project, monkeypatch):
    """Prepare the trained model for export; return what would be written."""
    write = Mock(return_value=0.)
    monkeypatch.setattr(module_under_test, 'export_model', write)

    def run(options=None, checkpoint=project.trained, **arguments):
        export_checkpoint(
            project.config,
            checkpoint,
            '/nowhere/a.onnx',
            cfg_options=options,
            force=True,
            **arguments)
        return write.call_args.args[0], write.call_args.kwargs

    monkeypatch.setattr(module_under_test, 'check_export', Mock())
    return run


@pytest.mark.parametrize(('form', 'config'), [('trained', 'deploy_config'),
                                              ('merged', 'config')])
def test_either_form_with_either_config(export, project, form, config):
    path, card, lines = export(
        config=getattr(project, config), checkpoint=getattr(project, form))
    assert [line[:5] for line in lines[:3]] == ['[1/3]', '[2/3]', '[3/3]']
    assert lines[-1].endswith('on random images')
    images = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        expected = load_model(project.config, project.trained)(images)
    found = load_exported(path, trust=True)(images.numpy())
    assert_same(torch.from_numpy(found), expected, 1e-4)
    assert card['classes'] == list('0123456789')
    assert card['input_shape'] == [3, 32, 32]


@torch.no_grad()
def test_another_size_of_images(wrap, project):
    wrapper, written = wrap(shape=(32, 64))
    images = torch.randn(2, 3, 32, 64)
    expected = load_model(project.config, project.trained)(images)
    assert_same(wrapper(images), expected, 1e-4)
    assert written['card']['input_shape'] == (3, 32, 64)
    assert 'makes images of 32x32' in written['card']['pipeline']


@pytest.mark.parametrize('to_rgb', [False, True])
@torch.no_grad()
def test_raw_images_are_prepared_as_for_the_model(wrap, project, to_rgb):
    options = dict(
        data_preprocessor=dict(
            mean=[10., 20., 30.], std=[40., 50., 60.], to_rgb=to_rgb))
    wrapper, _ = wrap(options, with_preprocess=True)
    model = open_source(
        project.config, project.trained, cfg_options=options).load_model()
    rgb = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    # The data set reads BGR.
    prepared = model.data_preprocessor(dict(inputs=rgb.flip(1)))['inputs']
    assert_same(wrapper(rgb), model(prepared), 1e-4)


def test_the_card_holds_the_models_own_normalisation(wrap):
    norm = dict(type='ClsDataPreprocessor', mean=[1.] * 3, std=[2.] * 3)
    _, written = wrap({'model.data_preprocessor': dict(norm, to_rgb=True)})
    card = written['card']
    assert (card['mean'], card['std']) == ([1.] * 3, [2.] * 3)
    assert card['channels'] == 'RGB'


@pytest.mark.parametrize(('out', 'arguments', 'message'), [
    ('a.onnx', dict(precision='bf16'), 'cannot be written in bf16'),
    ('there.pt2', dict(config='no.py'), 'there.pt2.json.*exists'),
    ('a.pt2', dict(opset=18), 'opset=18` is for .onnx files'),
    ('a.onnx', dict(precision='int8', calibrate='/nowhere'),
     'calibrate=/nowhere` is not a folder'),
    ('a.onnx', dict(calibrate='/'), 'go together'),
    ('a.pt2', dict(shape=(40, 32)), 'images of 40x32 do not fit'),
    ('a.pt2', dict(options={'data_preprocessor.pad_size_divisor': 64}),
     'pads images to multiples of 64'),
    ('a.txt', dict(config='no.py'), 'expected one of .onnx, .xml, .pt2$'),
])
def test_what_cannot_be_exported(export, tmp_path, out, arguments, message):
    (tmp_path / 'there.pt2.json').write_text('precious')
    with pytest.raises(UserError, match=message):
        export(out=out, **arguments)
    assert {path.name for path in tmp_path.iterdir()} == {'there.pt2.json'}


@pytest.mark.parametrize(('options', 'verified_on'),
                         [({}, '20 images of the test data, against fp32'),
                          (dict(test_dataloader=None), 'random images')])
def test_half_precision_is_verified_on_test_images(wrap, options, verified_on):
    wrapper, written = wrap(options, precision='fp16', opset=20)
    assert wrapper.dtype == torch.float16 and written['opset'] == 20
    assert written['reference'].dtype == torch.float32
    assert len(written['images']) == (2 if options == {} else 0)
    card = written['card']
    assert (card['precision'], card['verified_on']) == ('fp16', verified_on)


def test_grey_images(wrap, project, tmp_path):
    options = {
        'model.backbone.in_channels': 1,
        'data_preprocessor': dict(mean=None, std=None)
    }
    grey = build_model(read_config(project.config, options))
    torch.save(dict(state_dict=grey.state_dict()), tmp_path / 'grey.pth')
    wrapper, written = wrap(
        options, tmp_path / 'grey.pth', with_preprocess=True)
    assert written['card']['input_shape'] == (1, 32, 32)
    assert written['card']['mean'] == [0.]
    images = torch.zeros(2, 1, 32, 32, dtype=torch.uint8)
    assert wrapper(images).shape == (2, 10)
