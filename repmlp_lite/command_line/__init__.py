"""Arguments in, one sentence and an exit code out."""
from . import choices
from .arguments import new_parser, read_arguments
from .run_tool import run_tool

__all__ = ['choices', 'new_parser', 'read_arguments', 'run_tool']
