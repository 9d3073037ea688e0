"""What a training is shown in, and the packages that this needs."""
from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from mmengine.config import Config

from repmlp_lite.errors import ConfigError

# The packages behind mmengine's classes, as pip and Python name them.
_PACKAGES = {
    f'{name}VisBackend': name.lower()
    for name in ('Aim', 'ClearML', 'DVCLive', 'MLflow', 'Neptune',
                 'Tensorboard', 'Wandb')
}


def check_vis_backends(config: Config) -> None:
    """Refuse to start where a package is missing.

    Raises:
        ConfigError: If the visualizer writes for a program that is not
            installed; says how to install it.
    """
    backends: Any = (config.get('visualizer') or {}).get('vis_backends')
    for backend in backends if isinstance(backends, (list, tuple)) else ():
        name = str(backend.get('type')) if isinstance(backend, dict) else ''
        package = _PACKAGES.get(name.rpartition('.')[2])
        if package is not None and find_spec(package) is None:
            raise ConfigError(f'{name} of the config needs {package}, which '
                              f'is not installed: pip install {package}')
