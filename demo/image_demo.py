"""Classify one image: print the likeliest classes, and draw them."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmcls_repmlp.apis._command_line.cli import (add_cfg_options,
                                                 add_config_and_checkpoint,
                                                 add_device, add_force,
                                                 run_tool)
from mmcls_repmlp.apis.image_demo import classify_image


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('image', help='image file')
    add_config_and_checkpoint(parser)
    parser.add_argument('--out', metavar='PNG', help='picture to draw')
    add_device(parser)
    add_force(parser)
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    return run_tool(
        parser, lambda: classify_image(
            args.image,
            args.config,
            args.checkpoint,
            out=args.out,
            device=args.device,
            key=args.key,
            cfg_options=args.cfg_options,
            force=args.force))


if __name__ == '__main__':
    sys.exit(main())
