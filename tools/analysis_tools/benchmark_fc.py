"""Time the formulations of fc3 against the one that published code uses."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarking.benchmark_shareset_fc import LAYERS, benchmark_fc

from mmcls_repmlp.apis._command_line.cli import run_tool


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'layers',
        nargs='*',
        metavar='layer',
        default=list(LAYERS),
        help=f'out of {", ".join(LAYERS)}; default: all')
    parser.add_argument(
        '--batch', type=int, nargs='+', default=[1, 8], help='default: 1 8')
    parser.add_argument(
        '--train', action='store_true', help='time forward and backward pass')
    parser.add_argument(
        '--rounds', type=int, default=9, help='timed runs of each; default: 9')
    args = parser.parse_args(argv)
    return run_tool(
        parser,
        lambda: benchmark_fc(args.layers, args.batch, args.train, args.rounds))


if __name__ == '__main__':
    sys.exit(main())
