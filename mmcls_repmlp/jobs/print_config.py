"""Print a config with everything resolved that it inherits."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from repmlp_lite.files import atomic_write, check_suffix, check_writable

from .shared.config import read_config


def print_config(config: str | Path,
                 cfg_options: Mapping[str, Any] | None = None,
                 save_path: str | Path | None = None,
                 force: bool = False,
                 report: Callable[[str], None] = print) -> Config:
    """Print a config as the tools see it, and save it if asked to.

    Args:
        config: Path of the config.
        cfg_options: Settings to change in it. Defaults to none.
        save_path: File to write it to as well, which the tools read as a
            config of its own. Defaults to none.
        force: Whether that file may be replaced. Defaults to False.
        report: Called with the text. Defaults to print.

    Returns:
        The config.

    Raises:
        UserError: If the config is not usable, or a file would be
            overwritten.
    """
    if save_path is not None:
        check_suffix(save_path, ('.py', ), 'a config')
        check_writable(save_path, force, config)
    cfg = read_config(config, cfg_options)
    report(cfg.pretty_text)
    if save_path is not None:
        with atomic_write(save_path, force) as temporary:
            temporary.write_text(cfg.pretty_text)
    return cfg
