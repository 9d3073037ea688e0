"""Write pictures of what the data set of a config feeds its model."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmcls_repmlp.apis._command_line.cli import (add_cfg_options, add_force,
                                                 run_tool)
from mmcls_repmlp.apis.browse_dataset import MODES, PHASES, browse_dataset


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('out_dir', help='folder to write to, new or empty')
    parser.add_argument(
        '--phase',
        choices=PHASES,
        default='train',
        help='which data set; default: train')
    parser.add_argument(
        '-n',
        '--number',
        type=int,
        default=20,
        help='how many samples, spread evenly over the data set; default: 20')
    parser.add_argument(
        '--mode',
        choices=tuple(MODES),
        default='transformed',
        help='show what the pipeline ends with, what it reads (original), '
        'both (concat), or every step (pipeline); default: transformed')
    add_force(parser)
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    return run_tool(parser, lambda: _browse(args))


def _browse(args: argparse.Namespace) -> None:
    written = browse_dataset(args.config, args.out_dir, args.phase,
                             args.number, args.mode, args.cfg_options,
                             args.force)
    print(f'{len(written)} pictures in {args.out_dir}')


if __name__ == '__main__':
    sys.exit(main())
