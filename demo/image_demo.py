"""Classify one image: print the likeliest classes, and draw them."""
from __future__ import annotations

import sys
from collections.abc import Sequence

from mmcls_repmlp_cli import (add_cfg_options, add_config_and_checkpoint,
                              add_device, add_force, new_parser, run_tool)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(__doc__)
    parser.add_argument('image', help='image file')
    add_config_and_checkpoint(parser)
    parser.add_argument('--out', metavar='PNG', help='picture to draw')
    add_device(parser)
    add_force(parser)
    add_cfg_options(parser)
    return run_tool(parser, 'mmcls_repmlp.apis.image_demo:classify_image',
                    parser.parse_intermixed_args(argv))


if __name__ == '__main__':
    sys.exit(main())
