"""A training or a test, told on the screen while it runs."""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from numbers import Real
from typing import Any

from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner

from repmlp_lite.console import Progress, say

_WINDOW = 10  # iterations that speed and loss are averaged over
# Of the host's evaluation, beside metrics.
_TIMES = ('time', 'data_time')


@contextmanager
def show_progress(runner: Runner, summary: Callable[[Runner],
                                                    str]) -> Iterator[None]:
    """Tell on the screen what a runner does within the block.

    ``summary`` is composed once all is loaded.
    """
    hook = ShowProgress(summary)
    runner.register_hook(hook)
    try:
        yield
    finally:
        hook.close()


class ShowProgress(Hook):
    """Shows a summary, a bar, the scores of validations, and the result.

    Not every validation has a line, as a small data set has many in a minute:
    the newest has one when it is due, and the last.

    After all other hooks, so that what is shown has happened.
    """

    priority = 'LOWEST'

    def __init__(self, summary: Callable[[Runner], str]) -> None:
        self.summary = summary
        self.progress: Progress | None = None
        self.start = 0.
        self.loss = self.note = self.score = self.unsaid = ''

    def close(self) -> None:
        """Show no more."""
        if self.progress is not None:
            self.progress.close()
            self.progress = None

    def before_train(self, runner: Runner) -> None:
        """Say what is trained, and open the bar."""
        self._open(runner, 'training', runner.max_iters)
        assert self.progress is not None
        self.progress.begin(runner.iter)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any,
                         outputs: Any) -> None:
        """Show speed and loss; both are numbers already, for the log."""
        notes = []
        seconds, images = self._mean(runner, 'train/time'), _size(data_batch)
        if seconds and images:
            notes.append(f'{images / seconds:.3g} images/s')
        if 'train/loss' in runner.message_hub.log_scalars:
            self.loss = f'loss {self._mean(runner, "train/loss"):.4f}'
            notes.append(self.loss)
        self.note = ', '.join(notes + [self.score] * bool(self.score))
        if self.progress is not None:
            self.progress.advance(0, self.note)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any,
                       outputs: Any) -> None:
        """Show how far the validation is, beside the bar."""
        if self.progress is not None:
            count = len(runner.val_dataloader)
            self.progress.note = f'validating {batch_idx + 1}/{count}'

    def after_val_epoch(self, runner: Runner, metrics: dict) -> None:
        """Show what a validation gave, in a line of its own if it is due."""
        if self.progress is None:  # a validation alone
            return
        self.progress.note, self.score = self.note, scores(metrics)
        self.unsaid = ', '.join(
            filter(None, [_place(runner), self.loss, self.score]))
        if self.progress.is_due():
            self._say_score()

    def after_train(self, runner: Runner) -> None:
        """Close the bar and say how long it took."""
        self.close()
        if self.unsaid:
            self._say_score()
        early = getattr(runner.train_loop, 'stop_training', False)
        _say(f'trained in {self._clock()}' +
             f', stopped early after {_place(runner)}' * early)

    def before_test(self, runner: Runner) -> None:
        """Say what is tested, and open the bar."""
        self._open(runner, 'testing', len(runner.test_dataloader))

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any,
                        outputs: Any) -> None:
        """Count the images of a batch, and of the other processes."""
        if self.progress is not None:
            self.progress.advance(_size(data_batch))

    def after_test_epoch(self, runner: Runner, metrics: dict) -> None:
        """Close the bar and say the result."""
        self.close()
        count = len(runner.test_dataloader.dataset)
        _say(f'tested {count} images in {self._clock()}: '
             f'{scores(metrics) or "no score"}')

    def _say_score(self) -> None:
        _say(self.unsaid)
        self.unsaid = ''

    def _open(self, runner: Runner, what: str, total: int) -> None:
        self.start = time.monotonic()
        _say(self.summary(runner))
        self.progress = Progress(what, total)

    def _clock(self) -> str:
        return str(timedelta(seconds=round(time.monotonic() - self.start)))

    @staticmethod
    def _mean(runner: Runner, name: str) -> float:
        scalars = runner.message_hub.log_scalars
        return float(scalars[name].mean(_WINDOW)) if name in scalars else 0.


def scores(metrics: Mapping[str, Any]) -> str:
    """Set the numbers among metrics in a row; the log has the others."""
    return ', '.join(f'{name} {float(value):.4f}'
                     for name, value in metrics.items()
                     if isinstance(value, Real) and name not in _TIMES)


def _size(batch: Any) -> int:
    """Count the images of a batch, as all processes have such a one."""
    inputs: Any = batch.get('inputs') if isinstance(batch, Mapping) else None
    return len(inputs) * get_world_size() if hasattr(inputs, '__len__') else 0


def _say(text: str) -> None:
    if is_main_process():
        say(text)


def _place(runner: Runner) -> str:
    if isinstance(runner.train_loop, IterBasedTrainLoop):
        return f'iteration {runner.iter}/{runner.max_iters}'
    return f'epoch {runner.epoch}/{runner.max_epochs}'
