"""Test a checkpoint and count which class it takes for which."""
from __future__ import annotations

import sys
from collections.abc import Sequence

from repmlp_lite.command_line import (add_cfg_options,
                                      add_config_and_checkpoint, add_device,
                                      add_force, new_parser, run_tool)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(__doc__)
    add_config_and_checkpoint(parser)
    parser.add_argument(
        '--out', metavar='FILE', help='picture (.png) or table (.csv)')
    parser.add_argument(
        '--include-values',
        action='store_true',
        help='write the counts into the picture, for up to 50 classes')
    add_device(parser)
    add_force(parser)
    add_cfg_options(parser)
    return run_tool(
        parser, 'mmcls_repmlp.jobs.test.confusion_matrix:confusion_matrix',
        parser.parse_intermixed_args(argv))


if __name__ == '__main__':
    sys.exit(main())
