"""The command ``repmlp``."""
from __future__ import annotations

import sys
from collections.abc import Sequence

from repmlp_lite.signals import exit_on_stop


def main(command: str | None = None) -> int:
    """Run this program: ``repmlp``, or a tool that is one command of it.

    Args:
        command: Name of the command. Defaults to the first argument.

    Returns:
        The exit code, see :func:`run_tool`.
    """
    exit_on_stop()  # before the imports of all that follows
    if command is None:
        return run(sys.argv[1:])
    return run_command(command, sys.argv[1:])


def run(argv: Sequence[str]) -> int:
    """Run the command that the first argument names, or print help."""
    from repmlp_lite.command_line.commands import COMMANDS
    from repmlp_lite.command_line.overview import new_overview
    from repmlp_lite.errors import did_you_mean
    if argv and argv[0] in COMMANDS:
        return run_command(argv[0], argv[1:], f'repmlp {argv[0]}')
    parser = new_overview(COMMANDS)
    if not argv:
        parser.print_help(sys.stderr)
        return 2
    name = parser.parse_known_args(argv)[0].command
    parser.error(f'there is no command {name!r}{did_you_mean(name, COMMANDS)}')


def run_command(name: str,
                argv: Sequence[str],
                prog: str | None = None) -> int:
    """Run a command with its arguments.

    ``prog`` is the name in help and messages. Defaults to this program's.
    """
    from repmlp_lite.command_line import new_parser, read_arguments, run_tool
    from repmlp_lite.command_line.commands import COMMANDS
    parser = new_parser(COMMANDS[name].__doc__, prog=prog)
    job = COMMANDS[name](parser)
    return run_tool(parser, job, read_arguments(parser, argv))
