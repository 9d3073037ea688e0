"""Ways to train that a flag turns on in a config."""
from __future__ import annotations

from collections.abc import Collection

from mmengine.config import Config

from mmcls_repmlp.jobs.shared.device import warn_of_slow_bfloat16
from repmlp_lite.console import warn
from repmlp_lite.errors import UserError, option


def set_modes(cfg: Config,
              amp: bool,
              auto_scale_lr: bool,
              no_validate: bool,
              on_gpu: bool,
              options: Collection[str] = ()) -> None:
    """Turn ways to train on and off; losses are always checked.

    Args:
        cfg: The config, which is changed.
        amp: Whether to train in mixed precision.
        auto_scale_lr: Whether to scale the learning rate with the batch size.
        no_validate: Whether to skip validation.
        on_gpu: Whether a GPU trains.
        options: Dotted keys of the settings that the user changed.

    Raises:
        UserError: If the config does not go with a flag.
    """
    if auto_scale_lr:
        _enable_auto_scale_lr(cfg)
    elif 'auto_scale_lr.base_batch_size' in options:
        warn(f'warning: {option("cfg_options", "auto_scale_lr...")} has no '
             f'effect without {option("auto_scale_lr")}')
    if no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if amp:
        _enable_amp(cfg, on_gpu)
        if not on_gpu:
            warn_of_slow_bfloat16(f'drop {option("amp")}')
    _add_loss_check(cfg)


def _enable_auto_scale_lr(cfg: Config) -> None:
    if not cfg.get('auto_scale_lr', {}).get('base_batch_size'):
        raise UserError(
            f'{option("auto_scale_lr")} needs the batch size that the '
            'learning rate was chosen for: set '
            'auto_scale_lr.base_batch_size in the config')
    cfg.auto_scale_lr.enable = True


def _enable_amp(cfg: Config, on_gpu: bool) -> None:
    wrapper = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if wrapper not in ('OptimWrapper', 'AmpOptimWrapper',
                       'CpuAmpOptimWrapper'):
        raise UserError(
            f'{option("amp")} does not go with the optimizer wrapper '
            f'{wrapper!r} of the config: only with OptimWrapper')
    if on_gpu:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
        return
    for name in ('loss_scale', 'dtype'):  # of a config that is for GPUs
        cfg.optim_wrapper.pop(name, None)
    cfg.optim_wrapper.type = 'CpuAmpOptimWrapper'


def _add_loss_check(cfg: Config) -> None:
    # An infinite loss ends any training run, whatever its config inherits.
    hook, hooks = dict(type='CheckInvalidLossHook'), cfg.get('custom_hooks')
    if hook['type'] not in [other.get('type') for other in hooks or ()]:
        cfg.custom_hooks = [*(hooks or ()), hook]
