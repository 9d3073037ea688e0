"""The configs for mmsegmentation: what they say, and run by it.

Narrower and for pictures of an eighth of the size, they learn to tell dark
paper from light under digits, in two runs, and are merged by the tool.
"""
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmseg.registry import MODELS
from PIL import Image
from segmentation import COLS, ROWS, SIDE, make_scenes

from mmcls_repmlp import RepMLPNet, RepMLPResNet
from mmcls_repmlp.checkpoints import read_checkpoint, write_checkpoint
from mmcls_repmlp.jobs.reparameterize_model import reparameterize_checkpoint
from repmlp_lite.errors import CheckpointError, UserError
from tests.helpers import CONFIGS, assert_same, shapes

# mmsegmentation's, of its defaults.
pytestmark = [
    pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore`` is False'),
    pytest.mark.filterwarnings('ignore:The draw is False'),
]

UPERNET = 'upernet_repmlpnet-d256_8xb2-80k_cityscapes-512x1024.py'
PSPNET = 'pspnet_repmlp-res50-light_8xb2-80k_cityscapes-512x1024.py'
FOLDER = CONFIGS / 'segmentation'
SIZE = (512, 1024)
CROP = (ROWS * SIDE, COLS * SIDE)
SHRINK = SIZE[0] // CROP[0]
WARMUP, STEPS = 10, {UPERNET: 60, PSPNET: 100}
STROKE = 255  # is ignored
WIDTHS = [16, 32, 64, 128]
# What makes a model narrow, and how fast it learns then.
NARROW = {
    UPERNET: {
        'model.backbone.arch': dict(
            _delete_=True,
            channels=WIDTHS,
            depths=[1] * 4,
            sharesets_nums=[1, 4, 16, 32]),
        'model.backbone.img_size': SIDE,
        'model.decode_head.in_channels': WIDTHS,
        'model.auxiliary_head.in_channels': 64,
        'optim_wrapper.optimizer.lr': 4e-3
    },
    PSPNET: {
        'model.backbone.depth': [1] * 4,
        'model.backbone.base_channels': 8,
        'model.backbone.img_size': CROP,
        'model.backbone.partition_size': 4,
        'model.decode_head.in_channels': 256,
        'model.auxiliary_head.in_channels': 128,
        'optim_wrapper.optimizer.lr': 1e-1
    }
}


def write_scenes(folder, split, count, seed):
    """Write scenes as Cityscapes has them: dark paper is 0, light 1."""
    images, strokes = make_scenes(count, split == 'train', seed)
    paper = F.avg_pool2d(images * (1 - strokes), SIDE) > 0
    labels = F.interpolate(paper.float(), scale_factor=SIDE)
    labels[strokes > 0] = STROKE
    pixels = (128 + 50 * images).clamp(0, 255)
    for kind, suffix, planes in (('leftImg8bit', 'leftImg8bit', pixels),
                                 ('gtFine', 'gtFine_labelTrainIds', labels)):
        city = folder / kind / split / 'digits'
        city.mkdir(parents=True)
        for i, plane in enumerate(planes[:, 0].byte().numpy()):
            Image.fromarray(plane).save(city / f'{i}_{suffix}.png')


def narrowed(name, data):
    """Read a config and change no more than size and speed ask for."""
    cfg, steps = Config.fromfile(FOLDER / name), STEPS[name]
    cfg.merge_from_dict({
        **NARROW[name], 'model.decode_head.channels': 16,
        'model.auxiliary_head.channels': 16,
        'model.data_preprocessor.size': CROP,
        'train_cfg.val_interval': steps,
        'default_hooks.checkpoint.interval': steps // 2,
        'default_hooks.logger.interval': 10,
        'randomness.seed': 0
    })
    sides = [cfg.model.test_cfg]
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(data)
        sides += loader.dataset.pipeline
    for each in sides:
        for key in {'scale', 'crop_size', 'stride'} & {*each}:
            each[key] = tuple(side // SHRINK for side in each[key])
    times = {0: 0, 1500: WARMUP, 80000: steps}
    for schedule in cfg.param_scheduler:
        for key in ('begin', 'end'):
            schedule[key] = times[schedule[key]]
    del cfg.visualizer.name  # by which all runs in a process would share one
    return cfg


def train(cfg, work_dir, steps, resume=False):
    """Train by mmsegmentation; what it logged, line by line."""
    cfg.update(work_dir=str(work_dir), resume=resume)
    cfg.train_cfg.max_iters = steps
    Runner.from_cfg(cfg).train()
    log = max(work_dir.glob('*/vis_data/scalars.json'))
    return [json.loads(line) for line in log.read_text().splitlines()]


def evaluate(config, checkpoint, work_dir):
    """Test by mmsegmentation in float64: mIoU, and logits of every picture."""
    cfg = Config.fromfile(config)
    cfg.update(load_from=str(checkpoint), work_dir=str(work_dir))
    runner = Runner.from_cfg(cfg)
    runner.model.double()
    score = runner.test()['mIoU']
    return score, [
        sample.seg_logits.data for batch in runner.test_loop.dataloader
        for sample in runner.model.test_step(batch)
    ]


class Files(NamedTuple):
    """A trained segmenter, and what the tool made of it, in float64."""
    config: Path
    checkpoint: Path
    log: list[dict]  # of the last run
    double: Path  # the checkpoint, in float64
    merged: Path
    deploy_config: Path


@pytest.fixture(scope='module', autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@pytest.fixture(params=NARROW)
def cfg(request):
    return Config.fromfile(FOLDER / request.param)


def test_parses_and_is_complete(cfg):
    assert {path.name for path in FOLDER.glob('*.py')} == {*NARROW}
    assert cfg.custom_imports.imports == ['mmcls_repmlp']
    assert cfg.default_scope == 'mmseg'
    for part in ('train', 'val', 'test'):
        assert cfg[f'{part}_dataloader'].dataset.type == 'CityscapesDataset'
        assert cfg[f'{part}_cfg'].type.endswith('Loop')
    assert cfg.param_scheduler[-1].end == cfg.train_cfg.max_iters == 80000
    assert Config.fromstring(cfg.pretty_text, '.py').model == cfg.model
    # Training and sliding windows have one size.
    crop, = (
        tuple(step.crop_size) for step in cfg.train_pipeline
        if step.type == 'RandomCrop')
    windows = cfg.model.test_cfg
    assert windows.mode == 'slide'
    assert crop == tuple(windows.crop_size) == SIZE
    assert tuple(cfg.model.data_preprocessor.size) == SIZE
    assert all(0 < step <= side for step, side in zip(windows.stride, SIZE))
    parts = np.broadcast_to(cfg.model.backbone.img_size, 2)
    assert not (SIZE % parts).any()


def test_mmsegmentation_builds_and_runs_the_config(cfg):
    with torch.device('meta'):
        model = MODELS.build(cfg.model).eval()
        images = torch.empty(1, 3, *SIZE)
        pyramid = model.extract_feat(images)
        logits = model(images, mode='tensor')
        coarse = model.auxiliary_head(pyramid)
        model.backbone.switch_to_deploy()
        twin = MODELS.build({**cfg.model.backbone, 'deploy': True})
    upernet = cfg.model.decode_head.type == 'UPerHead'
    strides = (4 if upernet else 32, 4, 8, 16, 32)
    assert [tuple(out.shape[2:]) for out in (logits, *pyramid)
            ] == [(SIZE[0] // each, SIZE[1] // each) for each in strides]
    assert logits.shape[1] == coarse.shape[1] == 19
    assert type(twin) is (RepMLPNet if upernet else RepMLPResNet)
    assert not upernet or twin.pad_to_multiple
    assert shapes(model.backbone) == shapes(twin)
    names = {type(module).__name__ for module in model.modules()}
    assert {name for name in names if 'Norm' in name} == {'SyncBatchNorm'}


@pytest.fixture(scope='module', params=NARROW)
def files(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp('cityscapes')
    write_scenes(folder, 'train', 32, seed=0)
    write_scenes(folder, 'val', 8, seed=1)
    cfg = narrowed(request.param, folder)
    config, *written = (
        folder / name
        for name in ('config.py', 'double.pth', 'merged.pth', 'deploy.py'))
    config.write_text(cfg.pretty_text)
    steps = STEPS[request.param]
    train(cfg, folder, steps // 2)
    log = train(cfg, folder, steps, resume=True)
    files = Files(config, folder / f'iter_{steps}.pth', log, *written)
    content = read_checkpoint(files.checkpoint)
    # So that outputs differ by more than the rounding of merged weights only
    # if these are wrong.
    for key, value in content['state_dict'].items():
        if value.is_floating_point():
            content['state_dict'][key] = value.double()
    write_checkpoint(content, files.double)
    reparameterize_checkpoint(config, *written[:2], deploy_cfg=written[2])
    return files


def test_training_is_resumed_and_teaches(files):
    assert files.log[0]['step'] > files.log[-1]['step'] // 2
    # 49 to 83 with four seeds; all dark or all light would be 28 at most.
    assert files.log[-1]['mIoU'] > 40


def test_the_deploy_form_scores_the_same(files, tmp_path):
    score, logits = evaluate(files.config, files.double, tmp_path)
    deployed, deploy_logits = evaluate(files.deploy_config, files.merged,
                                       tmp_path)
    assert deployed == score
    assert_same(deploy_logits, logits)
    before, after = (
        read_checkpoint(path)['meta']['dataset_meta']
        for path in (files.double, files.merged))
    assert after == before and {'classes', 'palette'} <= {*after}
    # What was validated was in float32, where a pixel may fall otherwise.
    assert score == pytest.approx(files.log[-1]['mIoU'], abs=0.5)


def test_mmsegmentation_does_not_mistake_the_forms(files, tmp_path):
    with pytest.raises(CheckpointError, match='already converted'):
        evaluate(files.config, files.merged, tmp_path)
    with pytest.raises(CheckpointError, match='in training form'):
        evaluate(files.deploy_config, files.double, tmp_path)


def test_another_number_of_classes_is_named(files, tmp_path):
    heads = 'model.decode_head', 'model.auxiliary_head'
    job = files.config, files.checkpoint, tmp_path / 'out.pth'
    with pytest.raises(UserError, match='another number of classes'):
        reparameterize_checkpoint(
            *job, cfg_options={f'{head}.num_classes': 7
                               for head in heads})
    assert not [*tmp_path.iterdir()]
