import pytest
from mmengine.config import Config

from mmcls_repmlp.jobs.train.modes import set_modes
from repmlp_lite.errors import UserError

NONE = dict(amp=False, auto_scale_lr=False, no_validate=False, on_gpu=False)


def config(**wrapper):
    return Config(
        dict(
            optim_wrapper=dict(loss_scale='dynamic', **wrapper),
            val_dataloader=dict(),
            auto_scale_lr=dict(base_batch_size=64)))


def test_only_losses_are_checked_without_a_flag():
    cfg = config()
    set_modes(cfg, **NONE)
    set_modes(cfg, **NONE)
    assert cfg.custom_hooks == [dict(type='CheckInvalidLossHook')]
    assert cfg.optim_wrapper == config().optim_wrapper
    assert not cfg.auto_scale_lr.get('enable')
    assert cfg.val_dataloader is not None


@pytest.mark.parametrize(('on_gpu', 'wrapper'), [
    (True, dict(type='AmpOptimWrapper', loss_scale='dynamic')),
    (False, dict(type='CpuAmpOptimWrapper')),
])
def test_mixed_precision_is_that_of_the_device(on_gpu, wrapper):
    cfg = config()
    set_modes(cfg, **{**NONE, 'amp': True, 'on_gpu': on_gpu})
    assert cfg.optim_wrapper == wrapper


def test_flags_reach_the_config():
    cfg = config()
    set_modes(cfg, **{**NONE, 'auto_scale_lr': True, 'no_validate': True})
    assert cfg.auto_scale_lr.enable and cfg.val_dataloader is None


@pytest.mark.parametrize(('cfg', 'flag', 'words'), [
    (config(type='ApexOptimWrapper'), 'amp', "wrapper 'ApexOptimWrapper'"),
    (Config(dict(optim_wrapper={})), 'auto_scale_lr', 'base_batch_size'),
])
def test_what_does_not_go_together_is_refused(cfg, flag, words):
    with pytest.raises(UserError, match=words):
        set_modes(cfg, **{**NONE, flag: True})


def test_an_option_for_a_flag_that_is_off(capsys):
    options = ['auto_scale_lr.base_batch_size']
    set_modes(config(), **NONE, options=options)
    assert 'has no effect without' in capsys.readouterr().err
    set_modes(config(), **{**NONE, 'auto_scale_lr': True}, options=options)
    assert not capsys.readouterr().err
