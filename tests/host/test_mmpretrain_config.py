"""A config in mmpretrain's own words, with our tools."""
import json

import pytest

from mmcls_repmlp.apis.browse_dataset import browse_dataset
from mmcls_repmlp.apis.confusion_matrix import confusion_matrix
from mmcls_repmlp.apis.export import export_checkpoint
from mmcls_repmlp.apis.image_demo import classify_image
from mmcls_repmlp.apis.predict import predict
from mmcls_repmlp.apis.reparameterize_model import reparameterize_checkpoint
from mmcls_repmlp.apis.test import test as run_test
from mmcls_repmlp.apis.train import train
from mmcls_repmlp.checkpoints import read_checkpoint
from tests.helpers import TINY

CONFIG = """
custom_imports = dict(imports=['mmcls_repmlp'], allow_failed_imports=False)
default_scope = 'mmpretrain'
data_preprocessor = dict(
    num_classes=10, mean=[78.] * 3, std=[96.] * 3, to_rgb=True)
model = dict(
    type='ImageClassifier',
    backbone=dict(type='RepMLPNet', arch={arch}, img_size=32,
                  out_indices=(2, )),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=32,
              loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1,
                        mode='original')))
pipeline = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=32),
            dict(type='PackInputs')]
loader = dict(batch_size=10, num_workers=0)
train_dataloader = dict(
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='ImageNet', data_root={data!r}, split='train',
                 metainfo=dict(classes=[*'0123456789']), pipeline=pipeline),
    **loader)
val_dataloader = test_dataloader = dict(
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='CustomDataset', data_root={data!r}, data_prefix='val',
                 pipeline=pipeline), **loader)
val_evaluator = test_evaluator = dict(type='Accuracy', topk=(1, 5))
train_cfg = dict(by_epoch=True, max_epochs=1)
val_cfg = test_cfg = dict()
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3),
    constructor='LearningRateDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.9))
visualizer = dict(
    type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
"""


@pytest.fixture(scope='module')
def config(project, tmp_path_factory):
    path = tmp_path_factory.mktemp('mmpretrain') / 'own.py'
    path.write_text(CONFIG.format(arch=TINY, data=str(project.data)))
    return path


@pytest.fixture(scope='module')
def trained(config):
    train(config, work_dir=str(config.parent / 'work'))
    return config.parent / 'work' / 'epoch_1.pth'


def test_it_trains_merges_and_tests(config, trained, tmp_path):
    merged = tmp_path / 'deploy.pth'
    reparameterize_checkpoint(config, trained, merged)
    scores = [
        run_test(
            config,
            path,
            work_dir=str(tmp_path),
            show_dir=None if form else tmp_path / 'shown',
            cfg_options={'model.backbone.deploy': bool(form)})
        for form, path in enumerate((trained, merged))
    ]
    assert scores[0] == scores[1]
    assert [*(tmp_path / 'shown').glob('*.png')]
    assert read_checkpoint(merged)['meta']['dataset_meta']['classes']


def test_pictures_tables_and_files(config, trained, project, tmp_path):
    lines = []
    image = next(project.data.glob('val/3/*.png'))
    classify_image(
        image, config, trained, tmp_path / 'a.png', report=lines.append)
    assert browse_dataset(config, tmp_path / 'browse', number=1)
    confusion_matrix(config, trained, out=tmp_path / 'm.png')
    model = tmp_path / 'm.pt2'
    export_checkpoint(config, trained, model, report=lambda line: None)
    card = json.loads((tmp_path / 'm.pt2.json').read_text())
    assert [step['type']
            for step in card['pipeline']] == ['LoadImageFromFile', 'Resize']
    said = []
    predict(model, [image], report=said.append)
    # Both name the same class first.
    assert said[0].split(': ')[1].split()[0] == lines[1].split()[0]
