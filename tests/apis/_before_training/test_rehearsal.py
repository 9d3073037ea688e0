import random

import numpy as np
import pytest
import torch

from mmcls_repmlp.apis._before_training.rehearsal import rehearse
from mmcls_repmlp.apis._shared.config import (build_loop, build_runner,
                                              read_config)
from mmcls_repmlp.errors import ConfigError, UserError


@pytest.fixture
def runner(project, work_dir):

    def make(**options):
        cfg = read_config(
            project.config, {
                'work_dir': work_dir,
                **{
                    key.replace('__', '.'): value
                    for key, value in options.items()
                }
            })
        made = build_runner(cfg)
        build_loop(made, 'train')
        if cfg.get('val_dataloader') is not None:
            build_loop(made, 'val')
        return made

    return make


def state(runner):
    return ({
        key: value.clone()
        for key, value in runner.model.state_dict().items()
    }, random.getstate(), np.random.get_state()[1].tolist(),
            torch.get_rng_state().tolist(), runner.optim_wrapper,
            runner.param_schedulers, runner.model.training)


def test_nothing_changes(runner, work_dir, project):
    made = runner(
        param_scheduler=[dict(type='CosineAnnealingLR')],
        auto_scale_lr__enable=True)
    before, model = state(made), made.model
    files = sorted(project.folder.rglob('*'))
    rehearse(made)
    after = state(made)
    assert made.model is model
    for key, value in before[0].items():
        assert value.equal(after[0][key])
    assert before[1:] == after[1:]
    assert all(weight.grad is None for weight in model.parameters())
    assert not made.val_loop.evaluator.metrics[0].results
    assert not made.logger.disabled
    assert files == sorted(project.folder.rglob('*'))


HEAD = 'model__head__'
OPTIMIZER = 'optim_wrapper__optimizer'


@pytest.mark.parametrize(('options', 'words'), [
    ({
        OPTIMIZER: dict(type='AdamV', _delete_=True)
    }, "optimizer type 'AdamV' of the config is unknown: did you mean Adam"),
    ({
        OPTIMIZER: dict(type='Zzz', _delete_=True)
    }, "optimizer type 'Zzz' of the config is unknown$"),
    ({
        OPTIMIZER: dict(nesterov=True)
    }, "optimizer of the config cannot be built: .*argument 'nesterov'"),
    (dict(
        optim_wrapper=dict(
            _delete_=True,
            type='OptimWrapper',
            optimizer=dict(type='SGD', lr=0.1),
            paramwise_cfg=dict(norm_decay_mult=0.))),
     'has norm_decay_mult, but the optimizer no weight decay to multiply'),
    (dict(
        optim_wrapper=dict(
            _delete_=True,
            type='OptimWrapper',
            optimizer=dict(type='SGD', lr=0.1),
            paramwise_cfg=dict(custom_keys=dict(a=dict(decay_mult=0.))))),
     'has decay_mult, but the optimizer no weight decay to multiply'),
    (dict(optim_wrapper__type='Foo'), 'Foo is not in the mmcls::optimizer_wr'),
    (dict(optim_wrapper__constructor='Foo'), 'cannot be built.*Foo'),
    (dict(param_scheduler=[dict(type='CosineAnnealingLR', begin=2)]),
     'param_scheduler of the config cannot be built, or is longer than'),
    (dict(param_scheduler=[dict(type='Foo')]), 'param_scheduler.*Foo'),
    ({
        HEAD + 'in_channels': 64
    }, 'a training step of the config fails in '
     r'model.head.fc: .*shapes cannot be multiplied \(2x128 and 64x10\)'),
    ({
        HEAD + 'loss': dict(
            type='CrossEntropyLoss', use_soft=True, _delete_=True)
    }, 'a training step of the config fails in model.head.loss_module'),
    (dict(val_evaluator__topk=(1, 11)), 'val_evaluator of the config fails: '
     'ValueError: Top-11 accuracy is unavailable'),
    (dict(
        val_evaluator=dict(
            _delete_=True, type='SingleLabelMetric', average='weighted')),
     "val_evaluator .*Invalid `average` argument.*'macro'"),
    (dict(val_evaluator=dict(_delete_=True, type='PairVerification')),
     'PairVerification needs embeddings'),
    (dict(default_hooks__checkpoint__save_best='acc'),
     "save_best of the config names 'acc', which no metric gives: choose from "
     'accuracy/top1'),
    (dict(default_hooks__checkpoint__save_best=['accuracy/top1', 'loss']),
     "names 'loss'"),
    (dict(
        custom_hooks=[dict(type='EarlyStoppingHook', monitor='accuracy/top5')]
    ), "monitor of EarlyStoppingHook of the config names 'accuracy/top5'"),
    (dict(param_scheduler=[dict(type='ReduceOnPlateauLR', monitor='loss')]),
     "monitor of param_scheduler of the config names 'loss'"),
])
def test_what_would_fail_later(runner, options, words):
    with pytest.raises(UserError, match=words):
        rehearse(runner(**options))


@pytest.mark.parametrize('options', [
    dict(default_hooks__checkpoint__save_best='auto'),
    dict(val_evaluator=dict(_delete_=True, type='SingleLabelMetric')),
    dict(val_evaluator=[
        dict(type='Accuracy', topk=(1, 5)),
        dict(type='ConfusionMatrix')
    ]),
    dict(optim_wrapper__accumulative_counts=4),
    dict(param_scheduler=None),
    dict(val_evaluator=None, val_cfg=None, val_dataloader=None)
])
def test_what_does_not(runner, options):
    rehearse(runner(**options))


NO_VALIDATION = dict(val_evaluator=None, val_cfg=None, val_dataloader=None)


@pytest.mark.parametrize(
    ('options', 'words'),
    [(dict(default_hooks__checkpoint__save_best=['accuracy/top1', 'loss']),
      'so that save_best of the config will do nothing'),
     (dict(
         default_hooks__checkpoint__save_best='auto',
         custom_hooks=[
             dict(type='EarlyStoppingHook', monitor='accuracy/top1')
         ]), 'save_best and monitor of EarlyStoppingHook of the config'),
     (dict(param_scheduler=[dict(type='ReduceOnPlateauLR', monitor='loss')]),
      'monitor of param_scheduler'), ({}, None)])
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
    with pytest.raises(
            ConfigError,
            match='in model.backbone.final_norm: .*'
            'Expected more than 1 value per channel'):
        try_with(13)
    try_with(13, train_dataloader__drop_last=True)
    with pytest.raises(ConfigError, match='Expected more than 1 value'):
        try_with(1)


def test_errors_of_the_machine_are_not_the_configs(runner):
    made = runner()
    for error in (OSError(28, 'No space left'), MemoryError()):

        def fail(*_, error=error):
            raise error

        made.train_dataloader.dataset.pipeline = fail
        with pytest.raises(type(error)) as caught:
            rehearse(made)
        assert caught.value is error
