"""Checkpoints of which one is whole at every moment."""
from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine import hooks
from mmengine.dist import all_reduce_params, is_main_process
from mmengine.fileio import HardDiskBackend, LocalBackend
from mmengine.hooks import SyncBuffersHook
from mmengine.runner import Runner
from torch import nn

from mmcls_repmlp.host import HOOKS
from repmlp_lite.errors import JobFailedError

from .checkpoint_files import WHOLE_FILES, WholeFilesBackend

_KEPT = 'keep_ckpt_ids'


@HOOKS.register_module()
class AtomicCheckpointHook(hooks.CheckpointHook):
    """mmengine's hook, with its options, that loses nothing.

    mmengine's removes an outdated checkpoint before it writes the new one,
    and writes it in place: a kill or a full disk in between leaves none. Here
    a checkpoint, and ``last_checkpoint``, is written beside its place, synced
    and renamed, and only then the outdated ones go. This holds for local
    folders; other backends write as they do, and remove as late.

    Weights that are not finite are not saved, so that they never take the
    place of good ones.
    """

    file_backend: Any

    def before_train(self, runner: Runner) -> None:
        """Find the folder and what is in it; remove nothing yet."""
        # What is left over is removed after the next checkpoint is written.
        kept = runner.message_hub.pop_info(_KEPT, [])
        super().before_train(runner)
        self.keep_ckpt_ids = list(kept)
        # A FileClient, mmengine's older way, holds its backend.
        backend = getattr(self.file_backend, 'client', self.file_backend)
        if type(backend) in (LocalBackend, HardDiskBackend):
            self.file_backend = WholeFilesBackend()
            self.file_client_args = None
            self.backend_args = dict(backend=WHOLE_FILES)
        if self.save_best:
            # Of a folder that was copied, the best in the copy is ours.
            self._best = {
                key: path and self.file_backend.join_path(
                    self.out_dir, os.path.basename(path))
                for key, path in self._best.items()
            }

    def _save_checkpoint_with_step(self, runner: Runner, step: int,
                                   meta: dict[str, Any]) -> None:
        check_finite(runner.model)
        self._average_buffers(runner)
        hub, name = runner.message_hub, self.filename_tmpl.format(step)
        if step not in self.keep_ckpt_ids:
            self.keep_ckpt_ids.append(step)
        if self.max_keep_ckpts > 0:
            # Saved with those that go now: whoever resumes after a kill that
            # comes before they went removes them.
            hub.update_info(_KEPT, list(self.keep_ckpt_ids))
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args)
        if is_main_process():
            WholeFilesBackend().put_text(
                self.last_ckpt, Path(runner.work_dir, 'last_checkpoint'))
        self._forget_outdated()

    def _forget_outdated(self) -> None:
        if self.max_keep_ckpts <= 0:
            return
        outdated = self.keep_ckpt_ids[:-self.max_keep_ckpts]
        self.keep_ckpt_ids = self.keep_ckpt_ids[-self.max_keep_ckpts:]
        for step in outdated:
            self._remove(
                self.file_backend.join_path(self.out_dir,
                                            self.filename_tmpl.format(step)))

    def _save_best_checkpoint(self, runner: Runner,
                              metrics: Mapping[str, Any]) -> None:
        if not self.save_best:
            return
        check_finite(runner.model)
        # mmengine removes first what it finds here: let it find nothing.
        before = self._best
        self._best = dict.fromkeys(before)
        super()._save_best_checkpoint(runner, metrics)
        after = self._best
        self._best = {key: after.get(key) or before[key] for key in before}
        for path in {*before.values()} - {*self._best.values()}:
            if path is not None:
                self._remove(path)

    @property
    def _best(self) -> dict[str | None, str | None]:
        """Paths of the best checkpoints, by metric if there are several."""
        if len(self.key_indicators) == 1:
            return {None: self.best_ckpt_path}
        return dict(self.best_ckpt_path_dict)

    @_best.setter
    def _best(self, paths: Mapping[str | None, str | None]) -> None:
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = paths[None]
        else:
            self.best_ckpt_path_dict = dict(paths)

    def _remove(self, path: str) -> None:
        if not is_main_process():
            return
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):
            self.file_backend.rmtree(path)

    def _average_buffers(self, runner: Runner) -> None:
        """Let all processes go on from what the first one writes.

        SyncBuffersHook does so after every epoch, not in the middle of one.
        """
        if not self.by_epoch and any(
                isinstance(hook, SyncBuffersHook) for hook in runner.hooks):
            all_reduce_params(runner.model.buffers(), op='mean')


def check_finite(model: nn.Module) -> None:
    """Make sure that weights are numbers; infinite buffers may be masks.

    Raises:
        JobFailedError: If a parameter is not finite, or a buffer is NaN.
    """
    bad = [
        name for name, value in model.named_parameters()
        if not torch.isfinite(value).all()
    ]
    bad += [
        name for name, value in model.named_buffers()
        if torch.isnan(value).any()
    ]
    if bad:
        raise JobFailedError(
            f'{len(bad)} of the weights are not finite any more, '
            f'{bad[0]} first, and are not saved: train with a lower learning '
            'rate (optim_wrapper.optimizer.lr) or with gradient clipping '
            '(optim_wrapper.clip_grad)')
