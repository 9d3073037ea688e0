"""Time the formulations of fc3 against the one that published code uses."""
from __future__ import annotations

import sys
from collections.abc import Sequence

from choices import LAYERS

from repmlp_lite.command_line import new_parser, run_tool


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(__doc__)
    parser.add_argument(
        'names',
        nargs='*',
        metavar='layer',
        help=f'out of {", ".join(LAYERS)}; default: all')
    parser.add_argument(
        '--batch',
        dest='batches',
        type=int,
        nargs='+',
        metavar='BATCH',
        help='default: 1 8')
    parser.add_argument(
        '--train', action='store_true', help='time forward and backward pass')
    parser.add_argument(
        '--rounds', type=int, help='timed runs of each; default: 9')
    return run_tool(parser, 'benchmark_shareset_fc:benchmark_fc',
                    parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
