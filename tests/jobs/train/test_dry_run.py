import copy
import random

import numpy as np
import pytest
import torch

from mmcls_repmlp.jobs.shared.config import read_config
from mmcls_repmlp.jobs.shared.data import build_loop
from mmcls_repmlp.jobs.shared.runner import build_runner
from mmcls_repmlp.jobs.train.dry_run import dry_run
from repmlp_lite.errors import ConfigError, UserError
from tests.helpers import assert_same

OPTIMIZER = 'optim_wrapper.optimizer'
SAVE_BEST = 'default_hooks.checkpoint.save_best'
STOPPING = [dict(type='EarlyStoppingHook', monitor='accuracy/top5')]
PLATEAU = [dict(type='ReduceOnPlateauLR', monitor='loss')]


def new(kind, **options):
    """Settings that take the place of the config's."""
    return dict(type=kind, _delete_=True, **options)


@pytest.fixture
def runner(project, work_dir):

    def make(**options):
        cfg = read_config(project.config, dict(options, work_dir=work_dir))
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
    schedule = [dict(type='CosineAnnealingLR')]
    made = runner(param_scheduler=schedule, auto_scale_lr=dict(enable=True))
    before, files = state(made), sorted(project.folder.rglob('*'))
    weights = copy.deepcopy(made.model.state_dict())
    dry_run(made)
    assert state(made) == before
    assert_same([*made.model.state_dict().values()], [*weights.values()], 0)
    assert all(weight.grad is None for weight in made.model.parameters())
    assert not made.val_loop.evaluator.metrics[0].results
    assert sorted(project.folder.rglob('*')) == files


@pytest.mark.parametrize(('key', 'value', 'words'), [
    (OPTIMIZER, new('AdamV'),
     "optimizer type 'AdamV' of the config is unknown: choose"),
    (OPTIMIZER, dict(nesterov=True),
     "optimizer of the config cannot be built: .*argument 'nesterov'"),
    (OPTIMIZER, dict(weight_decai=0.1), "; did you mean 'weight_decay'"),
    ('custom_hooks', [dict(type='EMAHook', momentom=0.1)],
     "EMAHook of the config cannot .*'momentom'; did you mean 'momentum'"),
    ('param_scheduler', [dict(type='CosineAnnealingLR', begin=2)],
     'param_scheduler of the config cannot be built, or is longer than'),
    ('model.head.in_channels', 64,
     'a training step of the config fails in model.head.fc: .*shapes cannot '
     r'be multiplied \(2x128 and 64x10\)'),
    ('val_evaluator.topk', (1, 11), 'val_evaluator of the config fails: '
     'Top-11 accuracy is unavailable'),
    ('val_evaluator', new('PairVerification'),
     'PairVerification needs embeddings'),
    (SAVE_BEST, ['accuracy/top1', 'loss'], "save_best of the config names "
     "'loss', which no metric computes: choose from accuracy/top1"),
    ('custom_hooks', STOPPING,
     "monitor of EarlyStoppingHook of the config names 'accuracy/top5'"),
    ('param_scheduler', PLATEAU,
     "monitor of param_scheduler of the config names 'loss'"),
])
def test_what_would_fail_later_fails_now(runner, key, value, words):
    with pytest.raises(UserError, match=words):
        dry_run(runner(**{key: value}))


def test_what_would_not_fail_does_not(runner):
    confusion = [dict(type='Accuracy'), dict(type='ConfusionMatrix')]
    for options in ({
            SAVE_BEST: 'auto',
            'param_scheduler': None
    }, {
            'val_evaluator': confusion,
            'optim_wrapper.accumulative_counts': 4
    }):
        dry_run(runner(**options))


@pytest.mark.parametrize(
    ('options', 'words'),
    [({
        SAVE_BEST: ['accuracy/top1', 'loss']
    }, 'so save_best of the config, like everything that needs'),
     (dict(param_scheduler=PLATEAU), 'monitor of param_scheduler'), ({}, '')])
def test_what_waits_for_a_validation_in_vain(runner, options, words, capsys):
    idle = dict.fromkeys(['val_evaluator', 'val_cfg', 'val_dataloader'])
    dry_run(runner(**options, **idle))
    warned = capsys.readouterr().err
    assert words in warned and bool(words) == bool(warned)


def test_a_last_batch_of_one_image_is_the_one_that_is_tried(runner):

    class Norm(torch.nn.BatchNorm2d):

        def forward(self, x):
            return super().forward(x.mean((2, 3), keepdim=True)) + 0 * x

    def try_with(size, drop_last=False):
        loader = dict(batch_size=size, drop_last=drop_last)
        made = runner(train_dataloader=loader)
        made.model.backbone.final_norm = Norm(128)
        dry_run(made)

    try_with(8)  # of 40 images
    try_with(13, drop_last=True)
    words = 'in model.backbone.final_norm: .*Expected more than 1 value per'
    for size in (13, 1):
        with pytest.raises(ConfigError, match=words):
            try_with(size)


@pytest.mark.parametrize('error', [OSError(28, 'No space'), MemoryError()])
def test_errors_of_the_machine_are_not_the_configs(runner, error):

    def fail(results):
        raise error

    made = runner()
    made.train_dataloader.dataset.pipeline = fail
    with pytest.raises(type(error)) as caught:
        dry_run(made)
    assert caught.value is error
