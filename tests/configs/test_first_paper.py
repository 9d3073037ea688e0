"""The configs of the first paper, and its docs page, say what is so."""
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope

from mmcls_repmlp.jobs.shared.model import build_model
from tests.configs.test_configs import TWINS, read
from tests.helpers import TINY_RESNET_CFG
from tests.host_parts import gt_scores

CONFIGS = [name for name in TWINS if 'resnet50' in name and '_ft_' not in name]
CIFAR = 'repmlp-cifar_1xb128_cifar10.py'
FACES = 'repmlp-faceresnet_4xb64_faces-96px.py'


@pytest.mark.parametrize('name', CONFIGS)
def test_recipe_of_the_paper(name):
    cfg = read(name)
    size = cfg.model.backbone.img_size
    assert cfg.optim_wrapper.to_dict() == dict(
        optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4))
    schedule, loader = cfg.param_scheduler, cfg.train_dataloader
    assert (schedule.type, schedule.eta_min) == ('CosineAnnealingLR', 0)
    assert cfg.train_cfg.max_epochs == 100
    assert loader.batch_size * 8 == cfg.auto_scale_lr.base_batch_size == 256
    assert cfg.model.train_cfg.augments.type == 'Mixup'
    _, crop, flip, auto, _ = loader.dataset.pipeline
    assert (crop.type, crop.scale) == ('RandomResizedCrop', size)
    assert (flip.type, auto.type) == ('RandomFlip', 'AutoAugment')
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        _, resize, crop, _ = loader.dataset.pipeline
        assert (resize.type, resize.edge) == ('ResizeEdge', 'short')
        assert (resize.scale, crop.crop_size) in ((256, 224), (320, 320))
        assert crop.crop_size == size


def test_recipe_of_the_paper_on_cifar10():
    cfg = read(CIFAR)
    data = cfg.train_dataloader.dataset
    assert cfg.optim_wrapper.optimizer.lr == 0.2
    assert cfg.train_cfg.max_epochs == 100
    assert cfg.train_dataloader.batch_size == 128
    crop, flip, _ = data.pipeline
    assert (crop.crop_size, crop.padding, flip.prob) == (32, 4, 0.5)
    assert (data.type, data.test_mode) == ('CIFAR10', False)
    assert cfg.test_dataloader.dataset.test_mode


def test_mixed_images_out_of_the_pipeline_teach():
    cfg = read(CONFIGS[0])
    cfg.model.backbone = dict(type='RepMLPResNet', **TINY_RESNET_CFG)
    cfg.model.head.in_channels = 64
    steps = cfg.train_dataloader.dataset.pipeline[1:]
    steps[0].scale = cfg.model.backbone.img_size
    with DefaultScope.overwrite_default_scope('mmcls'):
        prepare = Compose(steps)
    pixels = np.random.default_rng(0).integers(0, 256, (250, 300, 3))
    # AutoAugment draws one of its policies for each.
    images = [
        prepare(dict(img=pixels.astype(np.uint8), gt_label=i))
        for i in range(10)
    ]
    model = build_model(cfg).train()
    data = model.data_preprocessor(pseudo_collate(images), training=True)
    assert gt_scores(data['data_samples'][0]).shape == (1000, )
    model(**data, mode='loss')['loss'].backward()
    assert model.backbone.stage0[0].conv.weight.grad.abs().sum() > 0


def test_the_network_for_faces():
    # Section 4.3: blocks 3, 2, 2, 2; 128 to 1024 channels, which the 1x1
    # convolutions keep; RepMLP in the stride-1 blocks of c2 to c4.
    with torch.device('meta'):
        model = build_model(read(FACES))
    backbone, blocks = model.backbone, []
    assert [len(stage) for stage in backbone.stages] == [3, 2, 2, 2]
    assert backbone.channels == (128, 256, 512, 1024)
    for i, width in enumerate(backbone.channels):
        for j, block in enumerate(backbone.stages[i]):
            first = getattr(block, 'btnk_conv1', None) or block.conv1
            assert first.conv.out_channels == width
            if hasattr(block, 'btnk_repmlp'):
                repmlp, size = block.btnk_repmlp, 24 >> i
                blocks.append((i, j, repmlp.num_groups))
                assert repmlp.in_channels == width // 2
                assert repmlp.partition_size == (6, 6)
                assert repmlp.input_size == (size, size)
    assert blocks == [(0, 0, 4), (0, 1, 4), (0, 2, 4), (1, 1, 4), (2, 1, 4)]
    assert read(FACES).val_evaluator.type == 'PairVerification'
