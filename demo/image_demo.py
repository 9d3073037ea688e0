"""Classify images: print the likeliest classes, draw or tabulate them."""
from __future__ import annotations

from repmlp_lite.signals import exit_on_stop

if __name__ == '__main__':
    exit_on_stop()  # before the other imports

import sys
from collections.abc import Sequence

from repmlp_lite.command_line import (add_cfg_options,
                                      add_config_and_checkpoint, add_device,
                                      add_force, add_images, new_parser,
                                      parse_with_images, run_tool)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(__doc__)
    add_images(parser)
    add_config_and_checkpoint(parser)
    parser.add_argument(
        '--out',
        metavar='FILE',
        help='table to write, .csv or .json; or, of one image, picture to '
        'draw, .png or .jpg')
    parser.add_argument(
        '--batch-size',
        type=int,
        help='images that the model is given at a time; default: 16')
    parser.add_argument(
        '--top-k', type=int, help='classes of each image; default: 5')
    add_device(parser)
    add_force(parser)
    add_cfg_options(parser)
    return run_tool(parser, 'mmcls_repmlp.jobs.image_demo:classify_images',
                    parse_with_images(parser, argv))


if __name__ == '__main__':
    sys.exit(main())
