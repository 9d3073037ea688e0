"""Time training steps of RepMLP blocks: merged, and layer by layer."""
from __future__ import annotations

import sys
from collections.abc import Sequence

from repmlp_lite.command_line import new_parser, run_tool


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(__doc__)
    parser.add_argument(
        '--batch', type=int, help='images in a batch; default: 128')
    parser.add_argument(
        '--rounds', type=int, help='timed runs of each; default: 15')
    return run_tool(parser, 'benchmark_block_training:benchmark_block',
                    parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
