import numpy as np
import pytest
import torch
from PIL import Image

from mmcls_repmlp.jobs.export import sample_data as export_data
from mmcls_repmlp.jobs.export.sample_data import (labelled_batches,
                                                  record_pipeline,
                                                  sample_images)
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.data import open_loader
from mmcls_repmlp.jobs.shared.model import build_model
from repmlp_lite.errors import ConfigError
from tests.helpers import CONFIGS, MINI

SHAPE = (3, 32, 32)
DIGITS = CONFIGS / MINI
LOAD, PACK = dict(type='LoadImageFromFile'), dict(type='PackClsInputs')
RESIZE, CROP = dict(type='Resize'), dict(type='CenterCrop')


def at(folder):
    return {'test_dataloader.dataset.data_root': str(folder)}


def all_of(cfg, model, raw):
    batches = labelled_batches(open_loader(cfg, 'test'), model, raw)
    return map(np.concatenate, zip(*batches))


def test_raw_images_are_rgb_and_others_normalised(project, data):
    red = Image.new('RGB', (32, 32), (200, 10, 30))
    red.save(min(data.glob('val/0/*.png')))
    cfg = read_config(project.config, at(data))
    model = build_model(cfg)
    raw, labels = all_of(cfg, model, True)
    ready, _ = all_of(cfg, model, False)
    assert raw.dtype == np.uint8 and raw.shape == (20, *SHAPE)
    assert sorted(labels) == sorted([*range(10)] * 2)
    assert raw[0, :, 5, 5].tolist() == [200, 10, 30]
    batch = dict(inputs=torch.from_numpy(raw[:, ::-1].copy()))
    prepared = model.data_preprocessor(batch)['inputs']
    np.testing.assert_array_equal(ready, prepared)


def test_some_images_are_always_the_same_and_not_too_many(
        project, monkeypatch):
    cfg = read_config(project.config)
    model = build_model(cfg)
    monkeypatch.setattr(export_data, 'SAMPLE_SIZE', 18)
    first, second = (
        np.concatenate(sample_images(cfg, model, True, SHAPE))
        for _ in range(2))
    assert len(first) == 18 and (first == second).all()
    in_order, _ = all_of(cfg, model, True)
    assert not (first == in_order[:18]).all()  # which go by their class


@pytest.mark.parametrize(('options', 'shape'), [
    (dict(test_dataloader=None), SHAPE),
    ({}, (3, 64, 32)),
    (at('/nowhere'), SHAPE),
])
def test_where_there_are_none(project, options, shape):
    cfg = read_config(project.config, options)
    assert sample_images(cfg, build_model(cfg), False, shape) == []
    if cfg.test_dataloader is None:
        assert 'no test_dataloader' in record_pipeline(cfg, shape[1:])


def record(*steps, size=(32, 32)):
    options = {'test_dataloader.dataset.pipeline': [*steps, PACK]}
    return record_pipeline(read_config(DIGITS, options), size)


def test_every_default_is_filled_in():
    resize = dict(RESIZE, scale=[32, 32], scale_factor=None, keep_ratio=False)
    resize.update(backend='cv2', interpolation='bicubic')
    load = dict(LOAD, color_type='color', imdecode_backend='cv2')
    assert record_pipeline(read_config(DIGITS), (32, 32)) == [load, resize]


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.py')), ids=str)
def test_every_config_can_be_recorded(path):
    cfg = read_config(path)
    size = cfg.model.backbone.get('img_size', 224)
    found = record_pipeline(cfg, (size, size))
    if 'cifar' in path.name:
        assert found == 'the test data of the config are not image files'
    else:
        assert isinstance(found, list)


@pytest.mark.parametrize(('message', 'steps'), [
    ('RandomFlip is not supp', [LOAD, dict(type='RandomFlip', prob=0.5)]),
    ('with to_float32', [dict(LOAD, to_float32=True)]),
    ("'unchanged'", [dict(LOAD, color_type='unchanged')]),
    ('auto_pad=True is not supported',
     [LOAD, dict(CROP, crop_size=8, auto_pad=True)]),
    ("padding_mode='reflect'",
     [LOAD, dict(type='Pad', size=(8, 8), padding_mode='reflect')]),
    ('cannot be built', [dict(type='Nonsense'), LOAD]),
])
def test_what_cannot_be_recorded_is_refused(message, steps):
    with pytest.raises(ConfigError, match=message) as error:
        record(*steps)
    remedy = '`cfg_options=test_dataloader=None`'
    assert 'built' in message or remedy in str(error.value)


@pytest.mark.parametrize('steps', [
    [dict(RESIZE, scale=(20, 16))],
    [dict(RESIZE, scale=99),
     dict(CROP, crop_size=(20, 16))],
])
def test_another_size_is_a_sentence(steps):
    assert record(LOAD, *steps) == (
        'the test pipeline of the config makes images of 16x20, and the '
        'file takes 32x32')
    assert isinstance(record(LOAD, *steps, size=(16, 20)), list)
