"""Train the model of a config."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor, nn

from mmcls_repmlp.checkpoints import (
    check_fit,
    local_file,
    read_checkpoint,
    state_dict_of,
)
from mmcls_repmlp.errors import UserError

from .check_data import check_images
from .classes import check_classes, watch_start
from .config import (
    build_loop,
    build_runner,
    read_config,
    set_launcher,
    set_loader_defaults,
    set_work_dir,
    user_errors,
)
from .model import unwrapped
from .pretrained import check_pretrained, fetch_pretrained

LATEST = 'auto'


def train(config: str | Path,
          work_dir: str | None = None,
          resume: str | None = None,
          amp: bool = False,
          auto_scale_lr: bool = False,
          no_validate: bool = False,
          cfg_options: Mapping[str, Any] | None = None,
          launcher: str = 'none',
          seed: int | None = None,
          check_data: bool = False) -> nn.Module:
    """Train the model of a config and validate it as the config says.

    Args:
        config: Path of the config.
        work_dir: Folder of logs and checkpoints. Defaults to the config's, or
            ``work_dirs/NAME_OF_CONFIG``.
        resume: Checkpoint to go on from, or 'auto' for the latest in the work
            folder. Defaults to None: start anew.
        amp: Whether to train in mixed precision, on a GPU. Defaults to False.
        auto_scale_lr: Whether to scale the learning rate with the batch size.
            Defaults to False.
        no_validate: Whether to skip validation. Defaults to False.
        cfg_options: Settings to change in the config. Defaults to none.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'. Defaults to 'none'.
        seed: Seed of all random numbers. Defaults to the config's.
        check_data: Whether to read all images before the first step. Defaults
            to False.

    Returns:
        The trained model.

    Raises:
        UserError: If the config, its data or a checkpoint is not usable.
        JobFailedError: If an image cannot be read.
    """
    cfg = read_config(config, cfg_options)
    set_work_dir(cfg, config, work_dir)
    if no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if seed is not None:
        cfg.randomness = {**cfg.get('randomness', {}), 'seed': seed}
    if auto_scale_lr:
        _enable_auto_scale_lr(cfg)
    if amp:
        _enable_amp(cfg)
    start = _set_start(cfg, resume)
    pretrained = fetch_pretrained(cfg.model)
    set_loader_defaults(cfg)
    set_launcher(cfg, launcher)
    runner = build_runner(cfg)
    check_pretrained(runner.model, pretrained)
    if start is not None:
        # mmengine only warns of what does not fit, and leaves it at random.
        check_fit(unwrapped(runner.model), start, cfg.load_from)
    build_loop(runner, 'train')
    if cfg.get('val_dataloader') is not None:
        build_loop(runner, 'val')
    check_classes(runner)
    watch_start(runner)
    if check_data:
        check_images(runner)
    _explain_schedules(runner)
    return runner.train()


def _explain_schedules(runner: Runner) -> None:
    # A runner builds them when it trains, as the learning rate may be scaled
    # before.
    build = runner.build_param_scheduler

    def build_explained(schedulers: Any) -> Any:
        with user_errors('param_scheduler of the config does not go with its '
                         'train_cfg, the warm-up must be shorter than that'):
            return build(schedulers)

    runner.build_param_scheduler = build_explained


def _set_start(cfg: Config, resume: str | None) -> dict[str, Tensor] | None:
    """Settle what training starts from, and read its weights if any."""
    if resume is not None:
        cfg.resume = True
        cfg.load_from = None if resume == LATEST else resume
    if not cfg.get('load_from'):
        return None
    cfg.load_from = str(local_file(cfg.load_from))
    checkpoint = read_checkpoint(cfg.load_from)
    if cfg.get('resume') and 'optimizer' not in checkpoint:
        raise UserError(f'checkpoint {cfg.load_from!r} has no training '
                        'state to resume: to start from its weights, set '
                        'load_from with --cfg-options instead')
    return state_dict_of(checkpoint, cfg.load_from)


def _enable_auto_scale_lr(cfg: Config) -> None:
    if not cfg.get('auto_scale_lr', {}).get('base_batch_size'):
        raise UserError('--auto-scale-lr needs the batch size that the '
                        'learning rate was chosen for: set '
                        'auto_scale_lr.base_batch_size in the config')
    cfg.auto_scale_lr.enable = True


def _enable_amp(cfg: Config) -> None:
    if not torch.cuda.is_available():
        raise UserError('--amp needs a GPU, and none is available here: train '
                        'without it')
    wrapper = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if wrapper not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise UserError('--amp does not go with the optimizer wrapper '
                        f'{wrapper!r} of the config: only with OptimWrapper')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
