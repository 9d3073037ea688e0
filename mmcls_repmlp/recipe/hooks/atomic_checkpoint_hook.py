"""Hook that keeps one whole checkpoint at every moment."""
from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine import hooks
from mmengine.dist import all_reduce_params, is_main_process
from mmengine.fileio import HardDiskBackend, LocalBackend, register_backend
from mmengine.hooks import SyncBuffersHook
from mmengine.runner import Runner
from torch import nn

from mmcls_repmlp.host import HOOKS
from repmlp_lite.errors import JobFailedError
from repmlp_lite.files import atomic_write

_KEPT = 'keep_ckpt_ids'
_WHOLE_FILES = 'mmcls_repmlp.whole_files'


@register_backend(_WHOLE_FILES)
class WholeFilesBackend(LocalBackend):
    """A local folder in which a file is the old one or the new one."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes; raise JobFailedError, with the name, if it fails."""
        try:
            with atomic_write(filepath, force=True) as temporary:
                temporary.write_bytes(obj)
        except OSError as error:
            raise JobFailedError(f'{str(filepath)!r} cannot be written '
                                 f'({error.strerror or error})') from error


@HOOKS.register_module()
class AtomicCheckpointHook(hooks.CheckpointHook):
    """CheckpointHook, with its options, that loses no checkpoint.

    mmengine's removes an outdated checkpoint first and writes the new one in
    place. Here a checkpoint, and ``last_checkpoint``, is written beside its
    place, synced and renamed before the outdated ones are removed. Backends
    other than local folders write in their own way, and remove as late.
    Weights that are not finite are not saved.
    """

    file_backend: Any

    def before_train(self, runner: Runner) -> None:
        """Find the folder and its checkpoints, of which none is removed."""
        # Without these, mmengine would remove what is outdated here.
        kept = runner.message_hub.pop_info(_KEPT, [])
        super().before_train(runner)
        self.keep_ckpt_ids = list(kept)
        # A FileClient, mmengine's older way, holds its backend.
        backend = getattr(self.file_backend, 'client', self.file_backend)
        if type(backend) in (LocalBackend, HardDiskBackend):
            self.file_backend = WholeFilesBackend()
            self.file_client_args = None
            self.backend_args = dict(backend=_WHOLE_FILES)
        if self.save_best:
            # Of a folder that was copied, the best in the copy is ours.
            self._best = {
                key: path and self.file_backend.join_path(
                    self.out_dir, os.path.basename(path))
                for key, path in self._best.items()
            }

    def before_save_checkpoint(self, runner: Runner,
                               checkpoint: dict[str, Any]) -> None:
        """Leave functions of schedules out, which no safe reader restores."""
        saved: Any = checkpoint.get('param_schedulers') or []
        lists = saved.values() if isinstance(saved, dict) else [saved]
        for state in itertools.chain.from_iterable(lists):
            for key in [key for key, x in state.items() if callable(x)]:
                del state[key]

    def _save_checkpoint_with_step(self, runner: Runner, step: int,
                                   meta: dict[str, Any]) -> None:
        check_finite(runner.model)
        # As SyncBuffersHook does, which acts after epochs only.
        if not self.by_epoch and any(
                isinstance(hook, SyncBuffersHook) for hook in runner.hooks):
            all_reduce_params(runner.model.buffers(), op='mean')
        hub, name = runner.message_hub, self.filename_tmpl.format(step)
        if step not in self.keep_ckpt_ids:
            self.keep_ckpt_ids.append(step)
        if self.max_keep_ckpts > 0:
            # With the outdated ones: after a kill before their removal, the
            # resumed training run removes them.
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
            WholeFilesBackend().put(self.last_ckpt.encode(),
                                    Path(runner.work_dir, 'last_checkpoint'))
        while 0 < self.max_keep_ckpts < len(self.keep_ckpt_ids):
            outdated = self.filename_tmpl.format(self.keep_ckpt_ids.pop(0))
            self._remove(self.file_backend.join_path(self.out_dir, outdated))

    def _save_best_checkpoint(self, runner: Runner,
                              metrics: Mapping[str, Any]) -> None:
        if not self.save_best:
            return
        check_finite(runner.model)
        # mmengine would remove what it finds here first.
        before = self._best
        self._best = dict.fromkeys(before)
        super()._save_best_checkpoint(runner, metrics)
        after = self._best
        self._best = {key: after.get(key) or before[key] for key in before}
        for path in {*before.values()} - {*self._best.values()}:
            self._remove(path)

    @property
    def _best(self) -> dict[str | None, str | None]:
        """Paths of the best checkpoints, by metric if there are several."""
        if len(self.key_indicators) > 1:
            return dict(self.best_ckpt_path_dict)
        return {None: self.best_ckpt_path}

    @_best.setter
    def _best(self, paths: Mapping[str | None, str | None]) -> None:
        self.best_ckpt_path = paths.get(None)
        self.best_ckpt_path_dict = dict(paths)

    def _remove(self, path: str | None) -> None:
        if path and is_main_process() and self.file_backend.isfile(path):
            self.file_backend.remove(path)


def check_finite(model: nn.Module) -> None:
    """Raise JobFailedError for a parameter not finite or a buffer of NaN."""
    bad = [n for n, p in model.named_parameters() if not p.isfinite().all()]
    # An infinite buffer may be a mask.
    bad += [n for n, b in model.named_buffers() if b.isnan().any()]
    if bad:
        raise JobFailedError(
            f'{len(bad)} of the weights are no longer finite, {bad[0]} first, '
            'and are not saved: train with a lower learning rate '
            '(optim_wrapper.optimizer.lr) or with gradient clipping '
            '(optim_wrapper.clip_grad)')
