"""The door of the tools: arguments first, whatever is heavy afterwards.

Importing mmcls_repmlp imports mmcls and registers the models, which takes
seconds. Here the package is put where its light parts can be imported from,
but not run; ``run_tool`` runs it once the arguments are read. For programs
alone: a library that imported this would find no model registered.
"""
import sys
from importlib.util import find_spec, module_from_spec


def place(name: str) -> None:
    """Make the modules within a package importable without running it.

    Args:
        name: Its dotted name. Nothing is done if it runs already.

    Raises:
        ModuleNotFoundError: If there is no such package.
    """
    if name in sys.modules:
        return
    spec = find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f'No module named {name!r}', name=name)
    sys.modules[name] = module_from_spec(spec)


place('mmcls_repmlp')

from mmcls_repmlp.apis._command_line import choices  # noqa: E402
from mmcls_repmlp.apis._command_line.arguments import (  # noqa: E402
    KeyValue, add_cfg_options, add_config, add_config_and_checkpoint,
    add_device, add_force, add_images, add_key, add_runner_arguments, add_size,
    new_parser, parse_with_images)
from mmcls_repmlp.apis._command_line.boundary import outcome  # noqa: E402
from mmcls_repmlp.apis._command_line.cli import run_tool  # noqa: E402

__all__ = [
    'KeyValue', 'add_cfg_options', 'add_config', 'add_config_and_checkpoint',
    'add_device', 'add_force', 'add_images', 'add_key', 'add_runner_arguments',
    'add_size', 'choices', 'new_parser', 'outcome', 'parse_with_images',
    'place', 'run_tool'
]
