import numpy as np
import pytest
import torch
from PIL import Image

from mmcls_repmlp.jobs.export import test_images as export_images
from mmcls_repmlp.jobs.export.test_images import labelled_batches, some_images
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.data import open_loader
from mmcls_repmlp.jobs.shared.model import build_model
from repmlp_lite.errors import ImageError

SHAPE = (3, 32, 32)


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
    monkeypatch.setattr(export_images, 'COUNT', 18)
    first, second = (
        np.concatenate(some_images(cfg, model, True, SHAPE)) for _ in range(2))
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
    assert some_images(cfg, build_model(cfg), False, shape) == []


def test_one_that_cannot_be_read_is_named(project, data):
    for image in data.glob('val/*/*.png'):
        image.write_text('no image')
    cfg = read_config(project.config, at(data))
    with pytest.raises(ImageError, match=r'/val/\d/\d+\.png'):
        some_images(cfg, build_model(cfg), False, SHAPE)
