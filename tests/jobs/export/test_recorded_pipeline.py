import pytest

from mmcls_repmlp.jobs.export.recorded_pipeline import recorded_pipeline
from mmcls_repmlp.jobs.shared.config import read_config
from repmlp_lite.errors import ConfigError
from tests.helpers import CONFIGS, MINI

DIGITS = CONFIGS / MINI
LOAD, PACK = dict(type='LoadImageFromFile'), dict(type='PackClsInputs')
RESIZE, CROP = dict(type='Resize'), dict(type='CenterCrop')


def recorded(*steps, size=(32, 32)):
    options = {'test_dataloader.dataset.pipeline': [*steps, PACK]}
    return recorded_pipeline(read_config(DIGITS, options), size)


def test_every_default_is_filled_in():
    resize = dict(RESIZE, scale=[32, 32], scale_factor=None, keep_ratio=False)
    resize.update(backend='cv2', interpolation='bicubic')
    load = dict(LOAD, color_type='color', imdecode_backend='cv2')
    assert recorded_pipeline(read_config(DIGITS), (32, 32)) == [load, resize]


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.py')), ids=str)
def test_every_config_can_be_recorded(path):
    cfg = read_config(path)
    size = cfg.model.backbone.get('img_size', 224)
    found = recorded_pipeline(cfg, (size, size))
    if 'cifar' in path.name:
        assert found == 'the test data of the config are no image files'
    else:
        assert isinstance(found, list)


@pytest.mark.parametrize(('message', 'steps'), [
    ('RandomFlip is not known', [LOAD, dict(type='RandomFlip', prob=0.5)]),
    ('with to_float32', [dict(LOAD, to_float32=True)]),
    ("'unchanged'", [dict(LOAD, color_type='unchanged')]),
    ('LoadImageFromFile cannot be', [dict(LOAD, imdecode_backend='tifffile')]),
    ('auto_pad is not known', [LOAD,
                               dict(CROP, crop_size=8, auto_pad=True)]),
    ("Pad in mode 'reflect'",
     [LOAD, dict(type='Pad', size=(8, 8), padding_mode='reflect')]),
    ('Resize cannot be', [LOAD,
                          dict(RESIZE, scale=8, interpolation='box')]),
    ('cannot be built', [dict(type='Nonsense'), LOAD]),
])
def test_what_cannot_be_recorded_is_refused(message, steps):
    with pytest.raises(ConfigError, match=message) as error:
        recorded(*steps)
    remedy = '`cfg_options=test_dataloader=None`'
    assert 'built' in message or remedy in str(error.value)


@pytest.mark.parametrize('steps', [
    [dict(RESIZE, scale=(20, 16))],
    [dict(RESIZE, scale=99),
     dict(CROP, crop_size=(20, 16))],
])
def test_another_size_is_told(steps):
    assert recorded(LOAD, *steps) == (
        'the test pipeline of the config makes images of 16x20, and the '
        'file takes 32x32')
    assert isinstance(recorded(LOAD, *steps, size=(16, 20)), list)


def test_no_test_data_is_told():
    cfg = read_config(DIGITS, dict(test_dataloader=None))
    assert 'no test_dataloader' in recorded_pipeline(cfg, (32, 32))
