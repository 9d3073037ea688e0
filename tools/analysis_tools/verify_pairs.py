"""Test whether a model's features tell identities apart, pair by pair."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmcls_repmlp.apis._command_line.cli import (add_cfg_options,
                                                 add_config_and_checkpoint,
                                                 add_device, add_force,
                                                 run_tool)
from mmcls_repmlp.apis.verify_pairs import verify_pairs


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_and_checkpoint(parser)
    parser.add_argument(
        'folder',
        nargs='?',
        help="images, a subfolder for each identity; default: the config's "
        'test data')
    parser.add_argument(
        '--out', metavar='FILE', help='picture of the ROC curve (.png)')
    parser.add_argument(
        '--max-pairs', type=int, default=6000, help='default: 6000')
    add_device(parser)
    add_force(parser)
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    return run_tool(
        parser, lambda: verify_pairs(
            args.config,
            args.checkpoint,
            folder=args.folder,
            out=args.out,
            max_pairs=args.max_pairs,
            device=args.device,
            key=args.key,
            cfg_options=args.cfg_options,
            force=args.force))


if __name__ == '__main__':
    sys.exit(main())
