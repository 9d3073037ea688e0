"""Make a checkpoint for images of another size out of a trained one."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmcls_repmlp.apis._command_line.cli import (add_cfg_options, add_force,
                                                 add_key, add_size, run_tool)
from mmcls_repmlp.apis.resize_partitions import resize_checkpoint


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file that SRC belongs to')
    parser.add_argument('src', help='checkpoint, a file or URL')
    parser.add_argument('dst', help='resized checkpoint to write')
    add_size(parser, '--to', 'that the images shall have', required=True)
    add_key(parser)
    add_force(parser)
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    return run_tool(
        parser, lambda: resize_checkpoint(
            args.config,
            args.src,
            args.dst,
            args.to,
            key=args.key,
            force=args.force,
            cfg_options=args.cfg_options))


if __name__ == '__main__':
    sys.exit(main())
