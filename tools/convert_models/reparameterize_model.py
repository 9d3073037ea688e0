"""Convert a training checkpoint into a verified deploy checkpoint."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmcls_repmlp.apis._command_line.cli import (add_cfg_options, add_force,
                                                 add_key, run_tool)
from mmcls_repmlp.apis.reparameterize_model import reparameterize_checkpoint


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file of the training form')
    parser.add_argument('src', help='training checkpoint, a file or URL')
    parser.add_argument('dst', help='deploy checkpoint to write')
    parser.add_argument(
        '--deploy-cfg',
        metavar='PATH',
        help='also write the deploy config, to this file')
    add_key(parser)
    add_force(parser)
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    return run_tool(
        parser, lambda: reparameterize_checkpoint(
            args.config,
            args.src,
            args.dst,
            deploy_cfg=args.deploy_cfg,
            key=args.key,
            force=args.force,
            cfg_options=args.cfg_options))


if __name__ == '__main__':
    sys.exit(main())
