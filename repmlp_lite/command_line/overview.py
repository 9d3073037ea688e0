"""Help of the command ``repmlp`` itself."""
from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from importlib import metadata

from .arguments import new_parser


def new_overview(commands: Mapping[str, Callable]) -> argparse.ArgumentParser:
    """Make a parser whose help lists all commands with their first lines."""
    width = max(map(len, commands)) + 2
    lines = [
        f'  {name:{width}}{str(command.__doc__).splitlines()[0]}'
        for name, command in commands.items()
    ]
    parser = new_parser(
        'RepMLP: vision MLPs that train with convolutions and merge them into '
        'fully connected layers.',
        prog='repmlp',
        usage='repmlp COMMAND ...',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='commands, in the order of use:\n' + '\n'.join(lines) +
        '\n\nrepmlp COMMAND --help lists the arguments of each.')
    parser.add_argument('command', help=argparse.SUPPRESS)
    parser.add_argument(
        '--version',
        action='version',
        version=f'mmcls_repmlp {metadata.version("mmcls_repmlp")}')
    return parser
