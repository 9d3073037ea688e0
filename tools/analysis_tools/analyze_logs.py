"""Draw and sum up the curves in logs of training."""
from __future__ import annotations

import sys
from collections.abc import Sequence

from repmlp_lite.command_line import add_force, new_parser, run_tool


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(__doc__)
    parser.add_argument(
        'logs',
        nargs='+',
        metavar='LOG.json',
        help='WORK_DIR/DATE/vis_data/scalars.json')
    parser.add_argument(
        '--keys',
        nargs='+',
        metavar='KEY',
        help='what to show, for example loss accuracy/top1; default: the '
        'losses and all that was evaluated')
    parser.add_argument(
        '--out', metavar='PNG', help='file to draw the curves to')
    parser.add_argument(
        '--legend',
        nargs='+',
        metavar='NAME',
        help='a name for each log; default: their paths')
    add_force(parser)
    return run_tool(parser, 'mmcls_repmlp.jobs.train.curves:analyze_logs',
                    parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
