import re

import pytest
from mmengine.config import Config

from mmcls_repmlp.jobs.shared.options import check_options
from repmlp_lite.errors import ConfigError

CONFIG = Config(
    dict(pipeline=[dict(type='A', scale=2),
                   dict(type='B')], load_from=None))
CONFIG.merge_from_dict({
    'model.type': 'ImageClassifier',
    'model.backbone.arch.a': 1,
    'train_cfg.max_epochs': 3,
    'val_dataloader.batch_size': 2
})


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [('model.type.x', 1, "model.type is 'ImageClassifier', which has no x"),
     ('load_from.x', 1, 'load_from is None, which has no x'),
     ('pipeline.2.scale', 1, 'pipeline is a list, .* from 0 to 1'),
     ('pipeline.x', 1, 'pipeline is a list'),
     ('model', 'resnet', "'model' to 'resnet' would replace .* model.type"),
     ('pipeline.0', 3, 'would replace all settings'), ('', 1, 'empty key'),
     ('model.', 1, 'empty key'), ('a..b', 1, 'empty')])
def test_what_has_no_place(key, value, message):
    with pytest.raises(ConfigError, match=message):
        check_options(CONFIG, {key: value})


@pytest.mark.parametrize(
    ('key', 'said'),
    [('train_cfgg.max_epochs', "has no 'train_cfgg'.* mean 'train_cfg'"),
     ('load_fom', "did you mean 'load_from'"),
     ('test_dataloder.batch_size', "did you mean 'test_dataloader'"),
     ('batchsize', "the config has no 'batchsize', and nothing reads it"),
     ('train_cfg.max_epoch', "train_cfg has no 'max_epoch'; did you mean 'ma"),
     ('pipeline.0.scal', "pipeline.0 has no 'scal'; did you mean 'scale'")])
def test_unlikely_keys_are_doubted(capsys, key, said):
    check_options(CONFIG, {key: 1})
    assert re.search(said, capsys.readouterr().err)


@pytest.mark.parametrize(('key', 'value'), [
    ('train_cfg.max_epochs', 5),
    ('work_dir', 'x'),
    ('resume', True),
    ('val_dataloader', None),
    ('model.backbone.arch', 'tiny'),
    ('pipeline.1.prob', 0.5),
    ('model.head.num_classes', 3),
    ('tta_model.type', 'x'),
    ('train_cfg', dict(by_epoch=True)),
])
def test_likely_ones_are_not(capsys, key, value):
    check_options(CONFIG, {key: value})
    assert not capsys.readouterr().err
