"""Runners whose log is their own, and the one that is quiet on the screen."""
from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any, ClassVar

from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from repmlp_lite.console import say
from repmlp_lite.files import atomic_write

_OURS = 'mmcls_repmlp.'
# Details of a training, which its summary sums up.
_DETAILS = 'mmcls_repmlp.recipe.'
_BETWEEN = ('logging', 'mmengine.logging', __name__)
# Warnings of mmengine to itself.
_NOISE = ('"FileClient" will be deprecated', '"HardDiskBackend" is the alias',
          'The prefix is not set in metric class')


class SeparateRunner(Runner):
    """A runner that shares nothing with another of its process.

    mmengine keeps loggers, scores, visualizers and scopes by the second that
    a run began in, and names their folder by it: of two short runs, the
    second would go on with what the first has.
    """

    _timestamp: str
    _taken: ClassVar[set[str]] = set()

    def dump_config(self) -> None:
        """Write nothing: jobs call :meth:`write_config` after their checks."""

    def write_config(self, folder: str | Path) -> None:
        """Write the config to a folder, under the name of its file."""
        if is_main_process():
            name = Path(self.cfg.filename or f'{self.timestamp}.py').name
            with atomic_write(Path(folder, name), force=True) as temporary:
                self.cfg.dump(temporary)

    def setup_env(self, env_cfg: dict[str, Any]) -> None:
        """Set up as mmengine does, and find a time that is not yet taken."""
        super().setup_env(env_cfg)
        began, number = self._timestamp, 1
        while self._timestamp in self._taken:
            number += 1
            self._timestamp = f'{began}_{number}'
        self._taken.add(self._timestamp)


class QuietRunner(SeparateRunner):
    """A runner that writes everything to its log, and little on the screen.

    On the screen: what this package says, and warnings and errors.
    """

    def build_logger(self, *args: object, **kwargs: object) -> MMLogger:
        """Build the logger, and take most of it off the screen."""
        logger = super().build_logger(*args, **kwargs)
        for i, handler in enumerate(logger.handlers):
            if type(handler) is logging.StreamHandler:
                logger.handlers[i] = _Screen(handler)
        return logger


class _Screen(logging.Handler):
    """Takes the place of a handler that writes every record on the screen."""

    def __init__(self, replaced: logging.Handler) -> None:
        super().__init__(replaced.level)
        for filter_ in replaced.filters:
            self.addFilter(filter_)

    def emit(self, record: logging.LogRecord) -> None:
        """Say what a user should know."""
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            if not text.startswith(_NOISE):
                say(f'{record.levelname.lower()}: {text}')
            return
        asker = _asker()
        if asker.startswith(_OURS) and not asker.startswith(_DETAILS):
            say(text)


def _asker() -> str:
    """Name the module that logs, whatever it goes through."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get(
            '__name__', '').startswith(_BETWEEN):
        frame = frame.f_back
    return str(frame.f_globals.get('__name__', ''))
