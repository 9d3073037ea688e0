"""Print a config with everything resolved that it inherits."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmcls_repmlp.apis._command_line.cli import (add_cfg_options, add_force,
                                                 run_tool)
from mmcls_repmlp.apis.print_config import print_config


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--save-path', metavar='FILE', help='also write it to this file')
    add_force(parser)
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    return run_tool(
        parser, lambda: print_config(args.config, args.cfg_options, args.
                                     save_path, args.force))


if __name__ == '__main__':
    sys.exit(main())
