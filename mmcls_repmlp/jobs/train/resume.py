"""What a training starts from, checked before it is used."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mmengine.config import Config
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import Tensor

from mmcls_repmlp.checkpoints import (check_fit, local_file, meta_of,
                                      read_checkpoint, state_dict_of)
from mmcls_repmlp.jobs.shared.model import unwrapped
from mmcls_repmlp.recipe import BATCHES_PER_EPOCH_KEY
from repmlp_lite.command_line.choices import LATEST
from repmlp_lite.errors import CheckpointError, option

from .work_dir import folder_of, hook_config, saved_checkpoints


@dataclass(frozen=True)
class Start:
    """What a training starts from.

    Attributes:
        source: The file; None if there is none.
        content: What it holds.
        resumes: Whether the training in it goes on, or its weights are used
            alone.
        said: What the user should know about the choice.
        newest: Whether it is the newest whole one of its work dir.
    """
    source: str | None = None
    content: Any = None
    resumes: bool = False
    said: str = ''
    newest: bool = False

    @property
    def weights(self) -> dict[str, Tensor]:
        """The weights by name."""
        return state_dict_of(self.content, self.source or '')

    def step(self, cfg: Config) -> int | None:
        """Number of what is resumed, counted as the config's names are."""
        unit = 'epoch' if hook_config(cfg).get('by_epoch', True) else 'iter'
        return meta_of(self.content)[unit] if self.resumes else None


def find_start(cfg: Config, resume: str | None) -> Start:
    """Settle what training starts from, in the config too, and read it.

    Args:
        cfg: The config, with its work dir.
        resume: A checkpoint to resume, 'auto' for the newest whole one in
            the work dir, or None to do as the config says.

    Raises:
        CheckpointError: If the file cannot be read, or is not what it should
            be.
    """
    if resume is None and cfg.get('resume'):
        resume = cfg.get('load_from') or LATEST
    if resume is not None:
        start = (
            _newest(cfg) if resume == LATEST else Start(
                resume, read_checkpoint(resume), resumes=True))
    elif cfg.get('load_from'):
        start = Start(cfg.load_from, read_checkpoint(cfg.load_from))
    else:
        start = Start()
    cfg.resume = start.resumes
    cfg.load_from = start.source and str(local_file(start.source))
    if start.resumes:
        _check_training_state(start)
        _take_seed(cfg, start)
        if BATCHES_PER_EPOCH_KEY not in meta_of(start.content):
            return replace(
                start,
                said=f'{start.said or start.source}: saved '
                'by another hook, so that the training goes on, '
                'but with other random numbers')
    return start


def _newest(cfg: Config) -> Start:
    unread = []
    for _, path in saved_checkpoints(cfg):
        try:
            # Only damage is passed over. A whole file of another model means
            # that another training lives here, and is refused later.
            content = read_checkpoint(path)
        except CheckpointError as error:
            unread.append((path, error))
            continue
        skipped = ', '.join(path.name for path, _ in unread)
        return Start(
            str(path),
            content,
            True,
            newest=True,
            said=(f'resuming from {path}, the newest whole checkpoint' +
                  (f'; passed over as damaged: {skipped}' if unread else '')))
    if unread:
        raise CheckpointError(
            f'none of the {len(unread)} checkpoints in '
            f'{str(folder_of(cfg))!r} can be read, so that there is nothing '
            f'to resume: name another with {option("resume", "FILE")}, or '
            f'train anew with {option("force")} and without '
            f'{option("resume", ...)} (of the newest: {unread[0][1]})')
    return Start(said=f'there is no checkpoint in {str(folder_of(cfg))!r} to '
                 'resume: training starts anew')


def _check_training_state(start: Start) -> None:
    meta = meta_of(start.content)
    if not isinstance(start.content, Mapping) or not all(
            isinstance(start.content.get(key), Mapping)
            for key in ('optimizer', 'message_hub')) or not all(
                isinstance(meta.get(key), int) for key in ('epoch', 'iter')):
        raise CheckpointError(
            f'checkpoint {start.source!r} has no training state to resume: to '
            f'start from its weights, set load_from with '
            f'{option("cfg_options", ...)} instead')


def _take_seed(cfg: Config, start: Start) -> None:
    # The order of samples is fixed when loaders are built, which is before
    # mmengine takes the seed over.
    seed = meta_of(start.content).get('seed')
    if isinstance(seed, int):
        cfg.randomness = {**cfg.get('randomness', {}), 'seed': seed}


def check_start(runner: Runner, start: Start) -> None:
    """Make sure that weights fit the model exactly.

    mmengine only warns of what does not fit, and leaves it at random.

    Raises:
        CheckpointError: If they do not.
    """
    if start.source is not None:
        check_fit(unwrapped(runner.model), start.weights, start.source)


def explain_finished(runner: Runner, start: Start) -> str:
    """Say in a sentence that nothing is left to train; '' if there is."""
    if not start.resumes:
        return ''
    loop, meta = runner.train_loop, meta_of(start.content)
    done, wanted, unit = ((meta['iter'], loop.max_iters, 'iterations')
                          if isinstance(loop, IterBasedTrainLoop) else
                          (meta['epoch'], loop.max_epochs, 'epochs'))
    return '' if done < wanted else (
        f'{start.source} is a finished training, of {done} {unit} where '
        f'train_cfg wants {wanted}: nothing is left to do')


def newest_name(cfg: Config) -> str:
    """Name the newest checkpoint for a message; '' if there is none."""
    return next((str(path) for _, path in saved_checkpoints(cfg)), '')
