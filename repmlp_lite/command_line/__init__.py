"""Arguments in, one sentence and an exit code out."""
from . import choices
from .arguments import (KeyValue, add_cfg_options, add_config,
                        add_config_and_checkpoint, add_device, add_force,
                        add_images, add_key, add_runner_arguments, add_size,
                        new_parser, read_arguments)
from .run_tool import run_tool

__all__ = [
    'KeyValue', 'add_cfg_options', 'add_config', 'add_config_and_checkpoint',
    'add_device', 'add_force', 'add_images', 'add_key', 'add_runner_arguments',
    'add_size', 'choices', 'new_parser', 'read_arguments', 'run_tool'
]
