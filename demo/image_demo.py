"""Classify images: print the likeliest classes, draw or tabulate them."""
from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mmcls_repmlp_cli import (add_cfg_options, add_config_and_checkpoint,
                              add_device, add_force, new_parser, run_tool)

_CONFIGS = ('.py', '.yml', '.yaml', '.json')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(__doc__)
    parser.add_argument(
        'images',
        nargs='+',
        metavar='image',
        help='image, folder of images with all below it, or quoted pattern')
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
    args = parser.parse_intermixed_args(argv)
    # The images take all but the checkpoint, and a config with them.
    if Path(args.images[-1]).suffix in _CONFIGS:
        args.config = args.images.pop()
    if not args.images:
        parser.error('name an image before the config and the checkpoint')
    return run_tool(parser, 'mmcls_repmlp.apis.image_demo:classify_images',
                    args)


if __name__ == '__main__':
    sys.exit(main())
