import copy
import random

import numpy as np
import pytest
import torch

from mmcls_repmlp.apis._before_training.rehearsal import rehearse
from mmcls_repmlp.apis._shared.config import (build_loop, build_runner,
                                              read_config)
from mmcls_repmlp.errors import ConfigError, UserError
from tests.helpers import assert_same

NO_VALIDATION = dict(val_evaluator=None, val_cfg=None, val_dataloader=None)
SAVE_BEST = 'default_hooks__checkpoint__save_best'
# What no other setting of the config would be merged into.
ANEW = dict(_delete_=True)


def sgd(**paramwise):
    """A wrapper of an optimizer without weight decay."""
    return dict(
        optim_wrapper=dict(
            type='OptimWrapper',
            optimizer=dict(type='SGD', lr=0.1),
            paramwise_cfg=paramwise,
            **ANEW))


def evaluator(kind, **options):
    return dict(val_evaluator=dict(type=kind, **options, **ANEW))


def scheduler(kind, **options):
    return dict(param_scheduler=[dict(type=kind, **options)])


def stopping(monitor):
    return dict(custom_hooks=[dict(type='EarlyStoppingHook', monitor=monitor)])


@pytest.fixture
def runner(project, work_dir):

    def make(**options):
        cfg = read_config(
            project.config, {
                'work_dir': work_dir,
                **{
                    key.replace('__', '.'): options[key]
                    for key in options
                }
            })
        made = build_runner(cfg)
        build_loop(made, 'train')
        if cfg.get('val_dataloader') is not None:
            build_loop(made, 'val')
        return made

    return make


def state(runner):
    return [
        random.getstate(),
        np.random.get_state()[1].tolist(),
        torch.get_rng_state().tolist(), runner.optim_wrapper,
        runner.param_schedulers, runner.model, runner.model.training,
        runner.logger.disabled
    ]


def test_nothing_changes(runner, project):
    made = runner(**scheduler('CosineAnnealingLR'), auto_scale_lr__enable=True)
    before, files = state(made), sorted(project.folder.rglob('*'))
    weights = copy.deepcopy(made.model.state_dict())
    rehearse(made)
    assert state(made) == before
    assert_same([*made.model.state_dict().values()], [*weights.values()], 0)
    assert all(weight.grad is None for weight in made.model.parameters())
    assert not made.val_loop.evaluator.metrics[0].results
    assert sorted(project.folder.rglob('*')) == files


@pytest.mark.parametrize(('options', 'words'), [
    (dict(optim_wrapper__optimizer=dict(type='AdamV', **ANEW)),
     "optimizer type 'AdamV' of the config is unknown: did you mean Adam"),
    (dict(optim_wrapper__optimizer=dict(type='Zzz', **ANEW)),
     "optimizer type 'Zzz' of the config is unknown$"),
    (dict(optim_wrapper__optimizer=dict(nesterov=True)),
     "optimizer of the config cannot be built: .*argument 'nesterov'"),
    (sgd(norm_decay_mult=0.),
     'has norm_decay_mult, but the optimizer no weight decay to multiply'),
    (sgd(custom_keys=dict(a=dict(decay_mult=0.))),
     'has decay_mult, but the optimizer no weight decay to multiply'),
    (dict(optim_wrapper__type='Foo'), 'Foo is not in the mmcls::optimizer_wr'),
    (dict(optim_wrapper__constructor='Foo'), 'cannot be built.*Foo'),
    (scheduler('CosineAnnealingLR', begin=2),
     'param_scheduler of the config cannot be built, or is longer than'),
    (scheduler('Foo'), 'param_scheduler.*Foo'),
    (dict(model__head__in_channels=64),
     'a training step of the config fails in model.head.fc: .*shapes cannot '
     r'be multiplied \(2x128 and 64x10\)'),
    (dict(
        model__head__loss=dict(type='CrossEntropyLoss', use_soft=True, **ANEW)
    ), 'a training step of the config fails in model.head.loss_module'),
    (dict(val_evaluator__topk=(1, 11)), 'val_evaluator of the config fails: '
     'ValueError: Top-11 accuracy is unavailable'),
    (evaluator('SingleLabelMetric', average='weighted'),
     "val_evaluator .*Invalid `average` argument.*'macro'"),
    (evaluator('PairVerification'), 'PairVerification needs embeddings'),
    ({
        SAVE_BEST: 'acc'
    }, "save_best of the config names 'acc', which no "
     'metric gives: choose from accuracy/top1'),
    ({
        SAVE_BEST: ['accuracy/top1', 'loss']
    }, "names 'loss'"),
    (stopping('accuracy/top5'),
     "monitor of EarlyStoppingHook of the config names 'accuracy/top5'"),
    (scheduler('ReduceOnPlateauLR', monitor='loss'),
     "monitor of param_scheduler of the config names 'loss'"),
])
def test_what_would_fail_later(runner, options, words):
    with pytest.raises(UserError, match=words):
        rehearse(runner(**options))


@pytest.mark.parametrize('options', [
    dict({SAVE_BEST: 'auto'}, optim_wrapper__accumulative_counts=4),
    evaluator('SingleLabelMetric'),
    dict(
        val_evaluator=[
            dict(type='Accuracy', topk=(1, 5)),
            dict(type='ConfusionMatrix')
        ],
        param_scheduler=None)
])
def test_what_does_not(runner, options):
    rehearse(runner(**options))


@pytest.mark.parametrize(
    ('options', 'words'),
    [({
        SAVE_BEST: ['accuracy/top1', 'loss']
    }, 'so that save_best of the config will do nothing'),
     (dict({SAVE_BEST: 'auto'}, **stopping('accuracy/top1')),
      'save_best and monitor of EarlyStoppingHook of the config'),
     (scheduler('ReduceOnPlateauLR',
                monitor='loss'), 'monitor of param_scheduler'), ({}, None)])
def test_what_waits_for_a_validation_in_vain(runner, options, words,
                                             monkeypatch):
    made = runner(**options, **NO_VALIDATION)
    said = []
    monkeypatch.setattr(made.logger, 'warning',
                        lambda text, *args: said.append(text % args))
    rehearse(made)
    assert len(said) == bool(words)
    assert not words or words in said[0]


def test_a_last_batch_of_one_image_is_the_one_that_is_tried(runner):

    class Norm(torch.nn.BatchNorm2d):

        def forward(self, x):
            return super().forward(x.mean((2, 3), keepdim=True)) + 0 * x

    def try_with(size, **options):
        made = runner(train_dataloader__batch_size=size, **options)
        made.model.backbone.final_norm = Norm(128)
        rehearse(made)

    try_with(8)  # of 40 images
    try_with(13, train_dataloader__drop_last=True)
    words = 'in model.backbone.final_norm: .*Expected more than 1 value per'
    for size in (13, 1):
        with pytest.raises(ConfigError, match=words):
            try_with(size)


def test_errors_of_the_machine_are_not_the_configs(runner):
    made = runner()
    for error in (OSError(28, 'No space left'), MemoryError()):

        def fail(*_, error=error):
            raise error

        made.train_dataloader.dataset.pipeline = fail
        with pytest.raises(type(error)) as caught:
            rehearse(made)
        assert caught.value is error
