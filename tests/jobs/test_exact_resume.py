"""A training run that was interrupted has the weights of one that was not."""
from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from mmcls_repmlp.checkpoints import read_checkpoint
from mmcls_repmlp.jobs.train.train import train
from tests.helpers import MINI, TINY, quick_loaders, write_config
from tests.programs import fork_trainings, free_port

SOFT = dict(_delete_=True, type='CrossEntropyLoss', use_soft=True)


@pytest.fixture
def config(tmp_path, digits):
    """All that draws random numbers: order, images, batches, layers."""

    def write(workers=0, persistent=False, seed=3):
        loaders = quick_loaders(digits, batch_size=20)
        loaders['train_dataloader'] = dict(
            loaders['train_dataloader'],
            batch_size=16,
            num_workers=workers,
            persistent_workers=persistent)
        return write_config(
            tmp_path / 'config.py',
            MINI,
            **loaders,
            model=dict(
                backbone=dict(arch=TINY, drop_path_rate=0.5),
                head=dict(in_channels=32, loss=SOFT),
                train_cfg=dict(augments=[
                    dict(type='Mixup', alpha=1.),
                    dict(type='CutMix', alpha=1.)
                ])),
            train_cfg=dict(max_epochs=2, val_interval=2),
            param_scheduler=[
                dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=3),
                dict(type='CosineAnnealingLR', by_epoch=False, begin=3)
            ],
            custom_hooks=[
                dict(type='SyncBuffersHook'),
                dict(type='EMAHook', momentum=0.1)
            ],
            env_cfg=dict(mp_cfg=dict(mp_start_method='fork')),
            default_hooks=dict(
                checkpoint=dict(
                    interval=1, max_keep_ckpts=-1, save_best='auto')),
            randomness=dict(_delete_=True, seed=seed))

    return write


MIDDLE = {'default_hooks.checkpoint.by_epoch': False}
ITERATIONS = {
    **MIDDLE, 'train_cfg': dict(
        _delete_=True, by_epoch=False, max_iters=4, val_interval=2),
    'train_dataloader.sampler.type': 'InfiniteSampler'
}
EPOCH = ('epoch_1.pth', ), 'epoch_2.pth'
SLOW = pytest.mark.slow


def same(first, second):
    """Compare tensors, numbers and what holds them, bit by bit."""
    if isinstance(first, dict):
        first, second = [*first.items()], [*second.items()]
    if isinstance(first, (list, tuple)):
        assert len(first) == len(second)
        for pair in zip(first, second):
            same(*pair)
    elif isinstance(first, torch.Tensor):
        assert first.dtype == second.dtype and first.equal(second)
    else:
        assert first == second


def assert_same_training(first, second):
    first, second = (read_checkpoint(path) for path in (first, second))
    for key in ('state_dict', 'ema_state_dict', 'optimizer',
                'param_schedulers'):
        same(first[key], second[key])
    for key in ('epoch', 'iter', 'seed'):
        assert first['meta'][key] == second['meta'][key]


@pytest.mark.parametrize(
    ('options', 'more', 'middles', 'last'),
    [(dict(seed=None), {}, *EPOCH),
     pytest.param(dict(workers=2, persistent=True), {}, *EPOCH, marks=SLOW),
     (dict(workers=2), {}, *EPOCH),
     (dict(), MIDDLE, ('iter_3.pth', 'iter_5.pth'), 'iter_6.pth'),
     (dict(workers=1), ITERATIONS, ('iter_1.pth', ), 'iter_4.pth'),
     (dict(), ITERATIONS, ('iter_3.pth', ), 'iter_4.pth')])
def test_resumed_weights_are_the_same(config, tmp_path, options, more, middles,
                                      last):
    config, whole = config(**options), tmp_path / 'whole'
    train(config, str(whole), cfg_options=deepcopy(more), no_test=True)
    for middle in middles:
        rest = tmp_path / f'from {middle}'
        train(
            config,
            str(rest),
            resume=f'{whole}/{middle}',
            cfg_options=deepcopy(more),
            no_test=True)
        assert_same_training(whole / last, rest / last)


@SLOW
def test_two_processes_from_the_middle_of_an_epoch(config, tmp_path):
    config, whole, rest = config(), tmp_path / 'whole', tmp_path / 'rest'
    # 40 images in batches of 16 for each of two: two iterations an epoch.
    found = fork_trainings(
        ['train_twofold', config, whole,
         free_port()],
        ['train_twofold', config, rest,
         free_port(), whole / 'iter_1.pth'])
    assert found == [[0, 0]] * 2, (tmp_path / 'rest.log').read_text()
    assert_same_training(whole / 'iter_4.pth', rest / 'iter_4.pth')
    # By one process other images make a batch: the comparison can fail.
    train(
        config,
        str(tmp_path / 'one'),
        cfg_options=deepcopy(MIDDLE),
        no_test=True)
    with pytest.raises(AssertionError):
        assert_same_training(whole / 'iter_4.pth',
                             tmp_path / 'one' / 'iter_4.pth')
