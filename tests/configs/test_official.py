"""The official recipe of 2022, read from what the configs build."""
import copy
import re
from functools import cache
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmcls.registry import TRANSFORMS
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from PIL import Image

from mmcls_repmlp.apis._shared.config import read_config
from mmcls_repmlp.apis._shared.model import build_model
from mmcls_repmlp.apis.train import train
from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.training import WarmupCosineLR
from mmcls_repmlp.training.transforms.raug_ops import (CUTOUT_FILL, FILL,
                                                       OPERATIONS, RESAMPLES)
from tests.helpers import ROOT

FOLDER = ROOT / 'configs' / 'repmlp'
MODELS = {  # arch, pixels, width of the head
    'repmlp-tiny_8xb32_in1k.py': ('T', 224, 512),
    'repmlp-tiny_8xb32_in1k-256px.py': ('T', 256, 512),
    'repmlp-base_8xb32_in1k.py': ('B', 224, 768),
    'repmlp-base_8xb32_in1k-256px.py': ('B', 256, 768),
    'repmlp-deep_8xb32_in1k-256px.py': ('D', 256, 640),
    'repmlp-large_8xb32_in1k-256px.py': ('L', 256, 768),
}
IMAGES, PROCESSES = 1281167, 8  # of ImageNet's training set; of the recipe
ITERATIONS = (0, 25021, 50040, 50041, 250201, 500399)


@cache
def built(name):
    """Config, model and optimizer; nobody may change them."""
    cfg = read_config(FOLDER / name)
    with torch.device('meta'):
        model = build_model(cfg)
    return cfg, model, build_optim_wrapper(model, cfg.optim_wrapper)


def pipeline(cfg, split):
    init_default_scope('mmcls')
    return [
        TRANSFORMS.build(step)
        for step in cfg[f'{split}_dataloader'].dataset.pipeline
    ]


def scheduler(cfg, optimizer, epoch_length):
    settings = copy.deepcopy(cfg.param_scheduler)
    assert settings.pop('type') == 'WarmupCosineLR'
    assert settings.pop('convert_to_iter_based') is True
    return WarmupCosineLR.build_iter_from_epoch(
        optimizer,
        epoch_length=epoch_length,
        end=cfg.train_cfg.max_epochs,
        **settings)


def decays(optimizer):
    return {group['weight_decay'] for group in optimizer.param_groups}


def sizes(cfg, *found):
    """Every size that was found is that of the model, S."""
    assert {*found} == {cfg.model.backbone.img_size}
    return 'S'


def describe(cfg, model, optim):
    """The column of the table, from what a config builds."""
    optimizer = optim.optimizer
    loader, tests = cfg.train_dataloader, cfg.test_dataloader
    batch = PROCESSES * loader.batch_size
    epoch_length = IMAGES // batch
    assert loader.drop_last is True
    rates = scheduler(cfg, optimizer, epoch_length)
    peak = optimizer.param_groups[0]['initial_lr']
    load, crop, flip, raug, _ = pipeline(cfg, 'train')
    test_load, edge, centre, _ = pipeline(cfg, 'test')
    preprocessor = model.data_preprocessor
    mixup, cutmix = preprocessor.batch_augments.augments
    names = [type(a).__name__ for a in (mixup, cutmix)]
    assert names == ['FlipMixup', 'FlipCutMix']
    betas = optimizer.defaults['betas']
    hooks = [hook.type for hook in cfg.custom_hooks]
    undecayed = {
        group['weight_decay']
        for group in optimizer.param_groups
        for p in group['params'] if p.ndim == 1
    }
    seed = cfg.randomness
    scale = cfg.auto_scale_lr
    kept = cfg.default_hooks.checkpoint
    assert test_load.imdecode_backend == load.imdecode_backend
    assert test_load.color_type == load.color_type
    assert crop.backend == edge.backend == 'pillow'
    assert cfg.optim_wrapper.get('type', 'OptimWrapper') == 'OptimWrapper'
    assert cfg.val_dataloader == tests and 'drop_last' not in tests
    steps = [type(t).__name__ for t in pipeline(cfg, 'train')]
    return {
        'epochs': f'{cfg.train_cfg.max_epochs}',
        'images per step': f'{batch}, {PROCESSES} processes of '
        f'{loader.batch_size}',
        'steps per epoch': f'{epoch_length}; an incomplete one is dropped',
        'optimizer': f'{type(optimizer).__name__}, betas {betas[0]} and '
        f'{betas[1]}, eps {optimizer.defaults["eps"]:.0e}',
        'learning rate': f'{peak:.0e} per {scale.base_batch_size} images, '
        f'{"in proportion" if scale.enable else "fixed"}',
        'warm-up': f'{rates.warmup // epoch_length} epochs, linear from '
        f'{peak * rates.start_factor:.0e}, per iteration',
        'after that': 'cosine to 0, counted from the first iteration'
        if rates.factor(rates.end // 2 + 1) == 0.5 else '',
        'rate at ' + ', '.join(map(str, ITERATIONS)): ', '.join(
            f'{peak * rates.factor(i):.4g}' for i in ITERATIONS),
        'weight decay': f'{max(decays(optimizer))}',
        'without decay': 'parameters of one dimension and biases'
        if undecayed == {0.} else f'{undecayed}',
        'gradient clipping': f'norm {optim.clip_grad_kwargs["max_norm"]}',
        'label smoothing': f'{model.head.loss_module.label_smooth_val}',
        'mixup': f'alpha {mixup.alpha}',
        'cutmix': f'alpha {cutmix.alpha}, labels by the true area'
        if cutmix.correct_lam else '',
        'which of both': 'one for every batch and process, each as likely'
        if preprocessor.batch_augments.probs is None and seed.diff_rank_seed
        else '',
        'partner': 'the first image and the last, and so on',
        'decoding': f'{load.imdecode_backend.capitalize()}, ' + {
            'color_ignore_orientation': 'orientation marks ignored'
        }[load.color_type],
        'crop': 'random, {} pixels, area {} to {}, sides {:.2f} to {:.2f}, '
        '{}'.format(
            sizes(cfg, *crop.scale), *crop.crop_ratio_range,
            *crop.aspect_ratio_range, crop.interpolation),
        'flip': f'{flip.direction}, {flip.prob}',
        'raug15': f'{raug.num_ops} of {len(OPERATIONS)} operations, '
        f'magnitudes 0 to {raug.num_magnitudes - 1}, fill {FILL[0]}, '
        f'of cutouts {CUTOUT_FILL}',
        'interpolation in raug15': ' or '.join(r.name.lower()
                                               for r in RESAMPLES),
        'EMA, drop path, jitter, erasing': 'none'
        if 'EMAHook' not in hooks and steps[4:] == ['PackClsInputs']
        and 'drop_path_rate' not in cfg.model.backbone else 'some',
        'normalisation': f'{"RGB" if preprocessor.to_rgb else "BGR"}, ' +
        ' / '.join(', '.join(f'{v / 255:.3f}' for v in values)
                   for values in (cfg.data_preprocessor.mean,
                                  cfg.data_preprocessor.std)),
        'initial weights': {
            'TorchInit': "those of PyTorch's layers"
        }[cfg.model.init_cfg.type],
        'precision': f'{next(model.parameters()).dtype}'.removeprefix(
            'torch.'),
        'test images': f'{edge.edge} edge to {sizes(cfg, edge.scale)}, '
        f'centre {sizes(cfg, *centre.crop_size)}, {edge.interpolation}',
        'seed': f'{seed.seed}, plus the number of the process',
        'random numbers': "numpy's and PyTorch's",
        'running statistics': 'averaged after every epoch'
        if 'SyncBuffersHook' in hooks else '',
        'validation': {
            1: 'after every epoch'
        }[cfg.train_cfg.val_interval],
        'checkpoints': f'the last {kept.max_keep_ckpts} and the best',
        'loading': f'{loader.num_workers} workers per process',
        'cuDNN benchmark': 'on' if cfg.env_cfg.cudnn_benchmark else 'off',
    }


def table():
    text = (ROOT / 'docs' / 'training.md').read_text()
    rows = re.search(r'\| item \|.*\n\|[-|]+\n((?:\|.*\n)+)', text)[1]
    for row in rows.splitlines():
        item, official, ours, difference = (
            cell.strip() for cell in row.strip('|').split('|'))
        yield item, official, ours, difference


@pytest.mark.parametrize('name', MODELS)
def test_the_table_says_what_the_config_builds(name):
    found = describe(*built(name))
    assert {item: ours for item, _, ours, _ in table()} == found


def test_every_model_has_a_row_of_what_to_expect():
    text = (ROOT / 'docs' / 'training.md').read_text()
    rows = re.findall(r'\| (\w)(\d+) \| `(.*?)` \|', text)
    assert {
        name: (arch, int(size))
        for arch, size, name in rows
    } == {
        name: (arch, size)
        for name, (arch, size, _) in MODELS.items()
    }


def test_the_table_names_every_difference():
    assert len([*table()]) == 33
    for item, official, ours, difference in table():
        assert (official == ours) is (difference == 'none'), item


@pytest.mark.parametrize(('name', 'expected'), MODELS.items())
def test_models(name, expected):
    cfg, model, _ = built(name)
    assert (cfg.model.backbone.arch, cfg.model.backbone.img_size,
            model.head.fc.in_features) == expected
    assert model.backbone.img_size == (expected[1], ) * 2
    assert model.head.fc.out_features == 1000
    # The names that mmcls' readers look for say what the loaders read.
    for split in ('train', 'test'):
        assert cfg[f'{split}_dataloader'].dataset.pipeline == cfg[
            f'{split}_pipeline']


@pytest.mark.parametrize('name', MODELS)
def test_every_parameter_decays_as_in_the_source(name):
    _, model, optim = built(name)
    optimizer = optim.optimizer
    decay = {
        id(p): group['weight_decay']
        for group in optimizer.param_groups
        for p in group['params']
    }
    parameters = dict(model.named_parameters())
    assert len(decay) == len(parameters)
    for key, parameter in parameters.items():
        excluded = len(parameter.shape) == 1 or key.endswith('.bias')
        assert decay[id(parameter)] == (0. if excluded else 0.1), key
    assert {*decay.values()} == {0., 0.1}


@pytest.fixture
def photograph(tmp_path):
    """A JPEG that is marked as lying on its side."""
    x, y = np.meshgrid(np.arange(401), np.arange(333))
    pixels = np.stack([x % 256, y % 256, (x + y) % 256], -1).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / 'image.jpg'
    Image.fromarray(pixels).save(path, exif=exif, quality=90)
    return path


@pytest.mark.parametrize('size', [224, 256])
def test_images_are_read_and_resized_as_pillow_does(size, photograph):
    suffix = '-256px' if size == 256 else ''
    cfg = read_config(FOLDER / f'repmlp-tiny_8xb32_in1k{suffix}.py')
    image = Image.open(photograph).convert('RGB')
    width = int(size * 401 / 333)
    left, = {round((width - size) / 2)}
    expected = image.resize((width, size), Image.Resampling.BILINEAR).crop(
        (left, 0, left + size, size))
    results = {'img_path': str(photograph)}
    for step in pipeline(cfg, 'test')[:3]:
        results = step(results)
    assert (results['img'][..., ::-1] == np.asarray(expected)).all()

    load, crop = pipeline(cfg, 'train')[:2]
    crop.rand_crop_params = lambda img: (20, 31, 150, 190)
    results = crop(load({'img_path': str(photograph)}))
    expected = image.crop((31, 20, 221, 170)).resize((size, size),
                                                     Image.Resampling.BILINEAR)
    assert (results['img'][..., ::-1] == np.asarray(expected)).all()
    turned = mmcv.imread(str(photograph))
    assert turned.shape[:2] == (401, 333)  # what would go wrong otherwise


def test_a_training_of_two_steps(imagenet, work_dir):
    # As it stands, but for a slim model, two images and a short warm-up.
    options = {
        f'{loader}_dataloader.{key}': value
        for loader in ('train', 'val')
        for key, value in {
            'num_workers': 0,
            'persistent_workers': False,
            'pin_memory': False,
            'batch_size': 2,
            'dataset.data_root': str(imagenet)
        }.items()
    }
    arch = dict(
        _delete_=True,
        channels=(8, 16, 32, 64),
        depths=(1, 1, 1, 1),
        sharesets_nums=(1, 4, 16, 64))
    train(
        FOLDER / 'repmlp-tiny_8xb32_in1k.py',
        work_dir=work_dir,
        cfg_options={
            **options, 'model.backbone.arch': arch,
            'model.head.in_channels': 64,
            'train_cfg.max_epochs': 2,
            'param_scheduler.warmup': 1,
            'default_hooks.logger.interval': 1
        })
    scalars = read_checkpoint(
        f'{work_dir}/epoch_2.pth')['message_hub']['log_scalars']
    first = 2 / 256 * 5e-7  # for two images instead of 256
    assert [*scalars['train/lr'].data[0]] == pytest.approx([first, first])
    losses = scalars['train/loss'].data[0]
    assert len(losses) == 2
    assert abs(losses - np.log(1000)).max() < 1  # no class is known yet
    assert 'val/accuracy/top1' in scalars
    best, = Path(work_dir).glob('best_accuracy_top1_epoch_*.pth')
    assert 'state_dict' in read_checkpoint(best)
