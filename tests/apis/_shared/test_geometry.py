import pytest

from mmcls_repmlp.apis._shared.config import read_config
from mmcls_repmlp.apis._shared.geometry import recorded_pipeline
from mmcls_repmlp.deploy.exported.pixels import check_pipeline
from mmcls_repmlp.errors import ConfigError
from tests.helpers import ROOT

CONFIGS = ROOT / 'configs' / 'repmlp'
DIGITS = CONFIGS / 'repmlp-mini_1xb64_digits-32px.py'
LOAD, PACK = dict(type='LoadImageFromFile'), dict(type='PackClsInputs')


def config_with(*steps):
    return read_config(DIGITS,
                       {'test_dataloader.dataset.pipeline': [*steps, PACK]})


def test_every_default_is_filled_in():
    assert recorded_pipeline(read_config(DIGITS), (32, 32)) == [
        dict(
            type='LoadImageFromFile',
            color_type='color',
            imdecode_backend='cv2'),
        dict(
            type='Resize',
            scale=[32, 32],
            scale_factor=None,
            keep_ratio=False,
            backend='cv2',
            interpolation='bicubic')
    ]


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.py')), ids=str)
def test_every_config_can_be_recorded(path):
    cfg = read_config(path)
    size = cfg.model.backbone.get('img_size', 224)
    recorded = recorded_pipeline(cfg, (size, size))
    if 'cifar' in path.name:
        assert recorded == 'the test data of the config are no image files'
    else:
        check_pipeline(recorded)


@pytest.mark.parametrize(('steps', 'message'), [
    ([LOAD, dict(type='RandomFlip', prob=0.5)], 'RandomFlip is not known'),
    ([LOAD, dict(type='Normalize', mean=[0.], std=[1.])
      ], 'Normalize is not known'),
    ([dict(LOAD, to_float32=True)], 'with to_float32'),
    ([dict(LOAD, color_type='unchanged')], "'unchanged'"),
    ([dict(LOAD, imdecode_backend='tifffile')], 'LoadImageFromFile cannot be'),
    ([LOAD, dict(type='CenterCrop', crop_size=8, auto_pad=True)
      ], 'auto_pad is not known'),
    ([LOAD, dict(type='Pad', size=(8, 8), padding_mode='reflect')
      ], "Pad in mode 'reflect'"),
    ([LOAD, dict(type='Resize', scale=8,
                 interpolation='box')], 'Resize cannot be'),
    ([dict(type='Nonsense'), LOAD], 'cannot be built')
])
def test_what_cannot_be_recorded_is_refused(steps, message):
    with pytest.raises(ConfigError, match=message) as error:
        recorded_pipeline(config_with(*steps), (32, 32))
    assert 'built' in message or ('`cfg_options=test_dataloader=None`' in str(
        error.value))


@pytest.mark.parametrize(('steps', 'made'),
                         [([dict(type='Resize', scale=(20, 16))], '16x20'),
                          ([
                              dict(type='Resize', scale=99),
                              dict(type='CenterCrop', crop_size=(20, 16))
                          ], '16x20')])
def test_another_size_is_told(steps, made):
    assert recorded_pipeline(config_with(LOAD, *steps), (32, 32)) == (
        f'the test pipeline of the config makes images of {made}, and the '
        'file takes 32x32')
    assert isinstance(
        recorded_pipeline(config_with(LOAD, *steps), (16, 20)), list)


def test_no_test_data_is_told():
    cfg = read_config(DIGITS, {'test_dataloader': None})
    assert 'no test_dataloader' in recorded_pipeline(cfg, (32, 32))
