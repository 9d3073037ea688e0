"""A config in mmpretrain's own words, with our tools."""
import json

import pytest

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.jobs.browse_dataset import browse_dataset
from mmcls_repmlp.jobs.export.export import export_checkpoint
from mmcls_repmlp.jobs.image_demo import classify_images
from mmcls_repmlp.jobs.reparameterize_model import reparameterize_checkpoint
from mmcls_repmlp.jobs.testing.test import test as run_test
from mmcls_repmlp.jobs.train.train import train
from repmlp_lite.predict import predict
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
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    constructor='LearningRateDecayOptimWrapperConstructor',
    paramwise_cfg=dict(layer_decay_rate=0.9))
visualizer = dict(
    type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
"""


@pytest.fixture(scope='module')
def trained(project, tmp_path_factory):
    folder = tmp_path_factory.mktemp('mmpretrain')
    config = folder / 'own.py'
    config.write_text(CONFIG.format(arch=TINY, data=str(project.data)))
    train(config, work_dir=str(folder / 'work'))
    return config, folder / 'work' / 'epoch_1.pth'


def test_it_trains_merges_and_tests(trained, tmp_path):
    config, trained = trained
    merged = tmp_path / 'deploy.pth'
    reparameterize_checkpoint(config, trained, merged)
    job, shown = dict(work_dir=str(tmp_path)), tmp_path / 'shown'
    score = run_test(config, trained, show_dir=shown, **job)
    deploy = {'model.backbone.deploy': True}
    assert run_test(config, merged, cfg_options=deploy, **job) == score
    assert [*shown.glob('*.png')]
    assert [*tmp_path.glob('*/confusion_matrix.png')]
    assert read_checkpoint(merged)['meta']['dataset_meta']['classes']


def test_pictures_tables_and_files(trained, project, tmp_path, capsys):
    image, model = next(project.data.glob('val/3/*.png')), tmp_path / 'm.pt2'
    classify_images([image], *trained, out=tmp_path / 'a.png')
    lines = capsys.readouterr().out.splitlines()
    assert browse_dataset(trained[0], tmp_path / 'browse', number=1)
    export_checkpoint(*trained, model)
    card = json.loads((tmp_path / 'm.pt2.json').read_text())
    assert [step['type']
            for step in card['pipeline']] == ['LoadImageFromFile', 'Resize']
    capsys.readouterr()
    predict(model, [image], trust=True)
    # Both name the same class first.
    said = capsys.readouterr().out
    assert said.split(': ')[1].split()[0] == lines[1].split()[0]
