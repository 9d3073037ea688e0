"""Test a checkpoint and count which class it takes for which."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmcls_repmlp.apis._command_line.cli import (add_cfg_options,
                                                 add_config_and_checkpoint,
                                                 add_device, add_force,
                                                 run_tool)
from mmcls_repmlp.apis.confusion_matrix import confusion_matrix


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_and_checkpoint(parser)
    parser.add_argument(
        '--out', metavar='FILE', help='picture (.png) or table (.csv)')
    parser.add_argument(
        '--include-values',
        action='store_true',
        help='write the counts into the picture, for up to 50 classes')
    add_device(parser)
    add_force(parser)
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    return run_tool(
        parser, lambda: confusion_matrix(
            args.config,
            args.checkpoint,
            out=args.out,
            include_values=args.include_values,
            device=args.device,
            key=args.key,
            cfg_options=args.cfg_options,
            force=args.force))


if __name__ == '__main__':
    sys.exit(main())
