"""Print a config with everything resolved that it inherits."""
from __future__ import annotations

import sys
from collections.abc import Sequence

from repmlp_lite.command_line import (add_cfg_options, add_force, new_parser,
                                      run_tool)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--save-path', metavar='FILE', help='also write it to this file')
    add_force(parser)
    add_cfg_options(parser)
    return run_tool(parser, 'mmcls_repmlp.jobs.print_config:print_config',
                    parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
