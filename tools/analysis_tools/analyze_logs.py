"""Draw and sum up the curves in logs of training."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmcls_repmlp.apis._command_line.cli import add_force, run_tool
from mmcls_repmlp.apis.analyze_logs import analyze_logs


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'logs',
        nargs='+',
        metavar='LOG.json',
        help='WORK_DIR/DATE/vis_data/scalars.json')
    parser.add_argument(
        '--keys',
        nargs='+',
        default=(),
        metavar='KEY',
        help='what to show, for example loss accuracy/top1; default: the '
        'losses and all that was evaluated')
    parser.add_argument(
        '--out', metavar='PNG', help='file to draw the curves to')
    parser.add_argument(
        '--legend',
        nargs='+',
        default=(),
        metavar='NAME',
        help='a name for each log; default: their paths')
    add_force(parser)
    args = parser.parse_args(argv)
    return run_tool(
        parser, lambda: analyze_logs(args.logs, args.out, args.keys, args.
                                     legend, args.force))


if __name__ == '__main__':
    sys.exit(main())
