import pytest
from mmengine.config import Config

from mmcls_repmlp.jobs.train.plain_options import set_plain_options
from repmlp_lite.errors import UserError


@pytest.fixture
def cfg():
    return Config(
        dict(
            train_cfg=dict(max_epochs=9),
            param_scheduler=[
                dict(type='LinearLR', end=9, by_epoch=False),
                dict(type='CosineAnnealingLR', T_max=9, end=9),
                dict(type='MultiStepLR', end=5)
            ],
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1.)),
            train_dataloader=dict(batch_size=4, num_workers=2),
            test_dataloader=dict(batch_size=4, num_workers=2),
            val_dataloader=None))


def test_nothing_given_changes_nothing(cfg):
    before = cfg.pretty_text
    set_plain_options(cfg)
    assert cfg.pretty_text == before


def test_what_hangs_on_an_option_is_set(cfg):
    set_plain_options(cfg, epochs=3, batch_size=8, lr=0.5, workers=0)
    assert cfg.train_cfg.max_epochs == 3
    assert [[schedule.get(key) for key in ('end', 'T_max')]
            for schedule in cfg.param_scheduler] == [[9, None], [3, 3],
                                                     [5, None]]
    assert cfg.optim_wrapper.optimizer.lr == 0.5
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        assert loader == dict(
            batch_size=8, num_workers=0, persistent_workers=False)
    set_plain_options(cfg, workers=2)
    assert cfg.train_dataloader.persistent_workers


@pytest.mark.parametrize(('options', 'message'), [
    (dict(epochs=0), 'epochs=0` is too small: give at least 1'),
    (dict(batch_size=0), 'batch_size=0` is too small'),
    (dict(workers=-1), 'workers=-1` is too small: give at least 0'),
    (dict(lr=0.), 'lr=0.0` cannot be set: give a positive number'),
    (dict(lr=float('nan')), 'lr=nan` cannot be set'),
])
def test_what_makes_no_sense_is_refused(cfg, options, message):
    before = cfg.pretty_text
    with pytest.raises(UserError, match=message):
        set_plain_options(cfg, **options)
    assert cfg.pretty_text == before


def test_a_config_that_counts_iterations_has_no_epochs():
    cfg = Config(dict(train_cfg=dict(by_epoch=False, max_iters=10)))
    with pytest.raises(UserError, match='counts iterations: set train_cfg.ma'):
        set_plain_options(cfg, epochs=2)


def test_schedules_keep_their_shape():
    cfg = Config(
        dict(
            train_cfg=dict(max_epochs=20),
            param_scheduler=[
                dict(type='LinearLR', end=5),
                dict(type='CosineAnnealingLR', T_max=15, begin=5, end=20),
                dict(type='MultiStepLR', milestones=[10, 15]),
                dict(type='LinearLR', end=20, by_epoch=False)
            ]))
    set_plain_options(cfg, epochs=8)
    assert cfg.param_scheduler == [
        dict(type='LinearLR', end=5),
        dict(type='CosineAnnealingLR', T_max=3, begin=5, end=8),
        dict(type='MultiStepLR', milestones=[4, 6]),
        dict(type='LinearLR', end=20, by_epoch=False)
    ]


@pytest.mark.parametrize(('options', 'key'), [
    (dict(epochs=3), 'train_cfg.max_epochs'),
    (dict(lr=0.1), 'optim_wrapper.optimizer.lr'),
    (dict(batch_size=8), 'val_dataloader.batch_size'),
    (dict(workers=0), 'train_dataloader.num_workers'),
    (dict(seed=1), 'randomness.seed'),
])
def test_what_is_said_twice_is_refused(cfg, options, key):
    with pytest.raises(UserError, match=f'{key}. say the same: give one'):
        set_plain_options(cfg, **options, options=[key])
    set_plain_options(cfg, **options, options=['model.head.num_classes'])
