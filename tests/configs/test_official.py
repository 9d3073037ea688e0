"""The official recipe of 2022, read from what the configs build."""
import math
import pickle
import random
import re
from functools import cache
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmcv.cnn.bricks import DropPath
from mmengine.model import initialize
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import init_default_scope
from PIL import Image
from torch import nn
from torch.nn.utils import skip_init

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.host import PARAM_SCHEDULERS, TRANSFORMS, CutMix, Mixup
from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.model import build_model
from mmcls_repmlp.jobs.train.train import train
from mmcls_repmlp.recipe.transforms.raug import CUTOUT_FILL, FILL, OPERATIONS
from tests.helpers import CONFIGS as FOLDER
from tests.helpers import ROOT, quick_loaders

MODELS = [
    f'repmlp-{name}.py'
    for name in ('tiny_8xb32_in1k', 'tiny_8xb32_in1k-256px', 'base_8xb32_in1k',
                 'base_8xb32_in1k-256px', 'deep_8xb32_in1k-256px',
                 'large_8xb32_in1k-256px')
]
TINY = MODELS[0]
IMAGES = 1281167  # of ImageNet's training set
TRAIN_STEPS = [
    'LoadImageStrict', 'RandomResizedCrop', 'RandomFlip', 'RAug',
    'PackClsInputs'
]
TEST_STEPS = ['LoadImageStrict', 'ResizeEdge', 'CenterCrop', 'PackClsInputs']
ITERATIONS = (0, 25021, 50040, 50041, 250201, 500399)
SLIM = {
    'model.backbone.arch': dict(
        _delete_=True,
        channels=(8, 16, 32, 64),
        depths=(1, 1, 1, 1),
        sharesets_nums=(1, 4, 16, 64)),
    'model.head.in_channels': 64
}


@cache  # nobody may change these
def built(name):
    """Config, model and optimizer, without memory for weights."""
    cfg = read_config(FOLDER / name)
    with torch.device('meta'):
        model = build_model(cfg)
    return cfg, model, build_optim_wrapper(model, cfg.optim_wrapper)


def pipeline(cfg, split):
    init_default_scope('mmcls')
    steps = cfg[f'{split}_dataloader'].dataset.pipeline
    # The names that mmcls' readers look for say what the loaders read.
    assert steps == cfg[f'{split}_pipeline']
    return [TRANSFORMS.build(step) for step in steps]


def describe(name):
    """The column of the table, of which what has no number is asserted."""
    cfg, model, optim = built(name)
    return (schedule_rows(name, cfg, optim) | mixing_rows(cfg, model)
            | image_rows(cfg, model) | run_rows(cfg, model, optim))


def schedule_rows(name, cfg, optim):
    optimizer, loader = optim.optimizer, cfg.train_dataloader
    processes = int(re.search(r'_(\d+)xb', name)[1])
    batch = processes * loader.batch_size
    epoch_length = IMAGES // batch
    settings = {**cfg.param_scheduler}
    assert settings.pop('convert_to_iter_based')
    rates = PARAM_SCHEDULERS.get(settings.pop('type')).build_iter_from_epoch(
        optimizer,
        epoch_length=epoch_length,
        end=cfg.train_cfg.max_epochs,
        **settings)
    peak, first = optimizer.defaults['lr'], rates.start_factor
    for step in range(0, rates.end, epoch_length // 2):
        done = step / rates.warmup
        assert rates.factor(step + 1) == pytest.approx(
            first + done * (1 - first) if done < 1 else
            (1 + math.cos(math.pi * step / rates.end)) / 2)
    betas, scale = optimizer.defaults['betas'], cfg.auto_scale_lr
    assert loader.drop_last and scale.enable
    decay = optimizer.defaults['weight_decay']
    assert {(True, 0.),
            (False, decay)} == {(p.ndim == 1, group['weight_decay'])
                                for group in optimizer.param_groups
                                for p in group['params']}
    clip = dict(optim.clip_grad_kwargs)
    norm = clip.pop('max_norm')
    assert not clip
    return {
        'epochs': f'{cfg.train_cfg.max_epochs}',
        'images per step': f'{batch}, {processes} processes of '
        f'{loader.batch_size}',
        'steps per epoch': f'{epoch_length}; an incomplete one is dropped',
        'optimizer': f'{type(optimizer).__name__}, betas {betas[0]} and '
        f'{betas[1]}, eps {optimizer.defaults["eps"]:.0e}',
        'learning rate': f'{peak:.0e} per {scale.base_batch_size} images, '
        'in proportion',
        'warm-up': f'{rates.warmup // epoch_length} epochs, linear from '
        f'{peak * first:.0e}, per iteration',
        'after that': 'cosine to 0, counted from the first iteration',
        f'rate at {str(ITERATIONS)[1:-1]}': ', '.join(
            f'{peak * rates.factor(i):.4g}' for i in ITERATIONS),
        'weight decay': f'{decay}',
        'without decay': 'parameters of one dimension and biases',
        'gradient clipping': f'norm {norm}',
    }


def mixing_rows(cfg, model):
    mixing = model.data_preprocessor.batch_augments
    mixup, cutmix = mixing.augments[:2]
    assert isinstance(mixup, Mixup) and isinstance(cutmix, CutMix)
    for augment in (mixup, cutmix):
        np.random.seed(0)
        _, scores = augment(torch.zeros(4, 3, 32, 32), torch.eye(4))
        assert scores.fill_diagonal_(0).argmax(1).tolist() == [3, 2, 1, 0]
    assert cutmix.correct_lam and mixing.probs is None
    assert cfg.randomness.diff_rank_seed
    return {
        'label smoothing': f'{model.head.loss_module.label_smooth_val}',
        'mixup': f'alpha {mixup.alpha}',
        'cutmix': f'alpha {cutmix.alpha}, labels by the true area',
        'which of both': 'one for every batch and process, each as likely',
        'partner': 'the first image and the last, and so on',
    }


def image_rows(cfg, model):
    steps, tests = pipeline(cfg, 'train'), pipeline(cfg, 'test')
    assert [type(step).__name__ for step in steps] == TRAIN_STEPS
    assert [type(step).__name__ for step in tests] == TEST_STEPS
    load, crop, flip, raug, _ = steps
    test_load, edge, centre, _ = tests
    for step in (load, test_load):
        assert step.imdecode_backend == 'pillow'
        assert step.color_type == 'color_ignore_orientation'
    assert {crop.backend, edge.backend} == {'pillow'}
    assert {*crop.scale, edge.scale,
            *centre.crop_size} == {cfg.model.backbone.img_size}
    resamples = {draw.resample for _ in range(99) for draw in raug.draws()}
    assert not any('EMA' in hook.type for hook in cfg.custom_hooks)
    assert not any(
        isinstance(module, DropPath) and module.drop_prob
        for module in model.modules())
    preprocessor = model.data_preprocessor
    assert preprocessor.to_rgb
    return {
        'decoding': 'Pillow, orientation marks ignored',
        'crop': 'random, S pixels, area {} to {}, sides {:.2f} to {:.2f}, {}'.
        format(*crop.crop_ratio_range, *crop.aspect_ratio_range,
               crop.interpolation),
        'flip': f'{flip.direction}, {flip.prob}',
        'raug15': f'{raug.num_ops} of {len(OPERATIONS)} operations, '
        f'magnitudes 0 to {raug.num_magnitudes - 1}, fill {FILL[0]}, '
        f'of cutouts {CUTOUT_FILL}',
        'interpolation in raug15': ' or '.join(
            resample.name.lower() for resample in sorted(resamples)),
        'EMA, drop path, jitter, erasing': 'none',
        'normalisation': 'RGB, ' +
        ' / '.join(', '.join(f'{v / 255:.3f}' for v in values)
                   for values in (cfg.data_preprocessor.mean,
                                  cfg.data_preprocessor.std)),
        'test images': f'{edge.edge} edge to S, centre S, '
        f'{edge.interpolation}',
    }


def drawn_from(cfg, model):
    """The generators that weights, images and mixtures are drawn from."""
    states = {
        "Python's": random.getstate,
        "numpy's": np.random.get_state,
        "PyTorch's": lambda: torch.get_rng_state().numpy()
    }
    before = {name: pickle.dumps(state()) for name, state in states.items()}
    initialize(skip_init(nn.Linear, 1, 1), cfg.model.init_cfg)
    results = dict(img=np.zeros((300, 300, 3), np.uint8), img_shape=(300, 300))
    for step in pipeline(cfg, 'train')[1:]:
        results = step(results)
    model.data_preprocessor.batch_augments(
        torch.zeros(4, 3, 32, 32), torch.eye(4))
    return [
        name for name, state in states.items()
        if pickle.dumps(state()) != before[name]
    ]


def run_rows(cfg, model, optim):
    kept, seed = cfg.default_hooks.checkpoint, cfg.randomness
    assert type(optim) is OptimWrapper and seed.diff_rank_seed
    assert cfg.model.init_cfg.type == 'TorchInit'
    assert 'SyncBuffersHook' in [hook.type for hook in cfg.custom_hooks]
    assert cfg.train_cfg.val_interval == kept.interval == 1
    assert 'save_best' in kept and cfg.env_cfg.cudnn_benchmark
    dtype, = {p.dtype for p in model.parameters()}
    return {
        'initial weights': "those of PyTorch's layers",
        'precision': f'{dtype}'.removeprefix('torch.'),
        'seed': f'{seed.seed}, plus the number of the process',
        'random numbers': ' and '.join(drawn_from(cfg, model)),
        'running statistics': 'averaged after every epoch',
        'validation': 'after every epoch',
        'checkpoints': f'the last {kept.max_keep_ckpts} and the best',
        'loading': f'{cfg.train_dataloader.num_workers} workers per process',
        'cuDNN benchmark': 'on',
    }


def table():
    text = (ROOT / 'docs' / 'training.md').read_text()
    rows = re.search(r'\| item \|.*\n\|[-|]+\n((?:\|.*\n)+)', text)[1]
    for row in rows.splitlines():
        yield [cell.strip() for cell in row.strip('|').split('|')]


@pytest.mark.parametrize('name', MODELS)
def test_the_table_says_what_the_config_builds(name):
    assert {item: ours for item, _, ours, _ in table()} == describe(name)
    cfg, model, optim = built(name)
    assert model.head.fc.out_features == 1000
    groups = optim.optimizer.param_groups
    assert sum(len(group['params'])
               for group in groups) == len([*model.parameters()])
    assert cfg.val_dataloader == cfg.test_dataloader
    assert 'drop_last' not in cfg.test_dataloader


def test_the_table_names_every_difference():
    assert len([*table()]) == 33
    for item, official, ours, difference in table():
        assert (official == ours) is (difference == 'none'), item


def test_images_are_read_and_resized_as_pillow_does(tmp_path):
    # A JPEG that is marked as lying on its side.
    x, y = np.meshgrid(np.arange(401), np.arange(333))
    pixels = np.stack([x % 256, y % 256, (x + y) % 256], -1).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = str(tmp_path / 'image.jpg')
    Image.fromarray(pixels).save(path, exif=exif, quality=90)
    assert mmcv.imread(path).shape[:2] == (401, 333)  # what could go wrong
    image, cfg = Image.open(path).convert('RGB'), built(TINY)[0]
    # 401 x 224 / 333 is 269.7, and the middle 224 of 269 columns are wanted.
    expected = image.resize((269, 224), Image.Resampling.BILINEAR).crop(
        (22, 0, 246, 224))
    results = dict(img_path=path)
    for step in pipeline(cfg, 'test')[:3]:
        results = step(results)
    assert (results['img'][..., ::-1] == np.asarray(expected)).all()


def test_a_training_of_two_steps(imagenet, work_dir):
    # As it stands, but for a slim model, two images and a short warm-up.
    options = {
        **quick_loaders(imagenet, batch_size=2),
        **SLIM, 'train_cfg.max_epochs': 2,
        'param_scheduler.warmup': 1,
        'default_hooks.logger.interval': 1
    }
    train(FOLDER / TINY, work_dir=work_dir, cfg_options=options)
    scalars = read_checkpoint(
        f'{work_dir}/epoch_2.pth')['message_hub']['log_scalars']
    first = 2 / 256 * 5e-7  # for two images instead of 256
    assert [*scalars['train/lr']['log_history']
            ] == pytest.approx([first, first])
    losses = scalars['train/loss']['log_history']
    assert len(losses) == 2
    assert abs(losses - np.log(1000)).max() < 1  # no class is known yet
    assert 'val/accuracy/top1' in scalars
    best, = Path(work_dir).glob('best_accuracy_top1_epoch_*.pth')
    assert 'state_dict' in read_checkpoint(best)
