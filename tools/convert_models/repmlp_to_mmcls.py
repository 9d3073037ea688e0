"""Convert official RepMLPNet weights to a checkpoint of mmcls, or back."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmcls_repmlp.apis._command_line.cli import (add_force, add_key, add_size,
                                                 run_tool)
from mmcls_repmlp.apis.repmlp_to_mmcls import (convert_from_official,
                                               convert_to_official_file)
from mmcls_repmlp.models import ARCH_ZOO


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('src', help='file to convert, or its URL')
    parser.add_argument('dst', help='file to write')
    parser.add_argument(
        '--to-official',
        action='store_true',
        help='the way back: from mmcls to a plain official state dict')
    parser.add_argument(
        '--arch',
        type=str.lower,
        choices=ARCH_ZOO,
        help='variant that it must be; default: what its shapes say')
    add_size(
        parser, '--img-size', 'of the images trained on; default: square '
        'ones, by the shapes')
    add_key(parser)
    add_force(parser)
    args = parser.parse_args(argv)
    if args.to_official and (args.arch or args.img_size):
        parser.error('--arch and --img-size do not go with --to-official')
    return run_tool(parser, lambda: convert(args))


def convert(args: argparse.Namespace) -> None:
    """Convert in the direction asked for."""
    if args.to_official:
        convert_to_official_file(args.src, args.dst, args.key, args.force)
    else:
        convert_from_official(args.src, args.dst, args.arch, args.img_size,
                              args.key, args.force)


if __name__ == '__main__':
    sys.exit(main())
