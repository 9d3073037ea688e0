"""Draw the effect of merging on fc3, for one output of one block."""
from __future__ import annotations

from repmlp_lite.signals import exit_on_stop

if __name__ == '__main__':
    exit_on_stop()  # before the other imports

import sys
from collections.abc import Sequence

from repmlp_lite.command_line import (add_cfg_options, add_force, add_key,
                                      new_parser, run_tool)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='training checkpoint')
    add_key(parser)
    parser.add_argument('out', metavar='OUT.png', help='picture to draw')
    parser.add_argument(
        '--block',
        metavar='STAGE.INDEX',
        help='which block, or the name of its module; default: the first')
    parser.add_argument(
        '--position',
        nargs=2,
        type=int,
        metavar=('ROW', 'COL'),
        help='which output, within a partition; default: its centre')
    parser.add_argument(
        '--shareset', type=int, help='which shareset; default: 0')
    parser.add_argument(
        '--over-training',
        nargs='+',
        metavar='CHECKPOINT',
        help='earlier checkpoints, to draw a row of each')
    add_force(parser)
    add_cfg_options(parser)
    return run_tool(parser, 'mmcls_repmlp.jobs.vis_locality:vis_locality',
                    parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
