"""A runner whose log, scores and pictures are its own."""
from __future__ import annotations

from typing import Any, ClassVar

from mmengine.runner import Runner


class SeparateRunner(Runner):
    """A runner that shares nothing with another of its process.

    mmengine keeps loggers, scores, visualizers and scopes by the second that
    a run began in, and names their folder by it: of two short runs, the
    second would go on with what the first has.
    """

    _timestamp: str
    _taken: ClassVar[set[str]] = set()

    def setup_env(self, env_cfg: dict[str, Any]) -> None:
        """Set up as mmengine does, and find a time that is not yet taken."""
        super().setup_env(env_cfg)
        began, number = self._timestamp, 1
        while self._timestamp in self._taken:
            number += 1
            self._timestamp = f'{began}_{number}'
        self._taken.add(self._timestamp)
