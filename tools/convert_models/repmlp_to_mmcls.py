"""Convert official RepMLPNet weights to a checkpoint of mmcls, or back."""
from __future__ import annotations

from repmlp_lite.signals import exit_on_stop

if __name__ == '__main__':
    exit_on_stop()  # before the other imports

import sys
from collections.abc import Sequence

from repmlp_lite.command_line import (add_force, add_key, add_size, choices,
                                      new_parser, run_tool)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(__doc__)
    parser.add_argument('src', help='file to convert, or its URL')
    parser.add_argument('dst', help='file to write')
    parser.add_argument(
        '--to-official',
        action='store_true',
        help='the way back: from mmcls to a plain official state dict')
    parser.add_argument(
        '--arch',
        type=str.lower,
        choices=choices.ARCHS,
        help='variant that it must be; default: the one of its shapes')
    add_size(
        parser, '--img-size', 'of the images trained on; default: square '
        'ones, by the shapes')
    add_key(parser)
    add_force(parser)
    args = parser.parse_args(argv)
    job = 'convert_from_official'
    if vars(args).pop('to_official', False):
        job = 'convert_to_official_file'
        if 'arch' in args or 'img_size' in args:
            parser.error('--arch and --img-size do not go with --to-official')
    return run_tool(parser, f'mmcls_repmlp.jobs.repmlp_to_mmcls:{job}', args)


if __name__ == '__main__':
    sys.exit(main())
