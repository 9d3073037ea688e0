"""Count parameters and multiply-accumulates of a config's model."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmcls_repmlp.apis._command_line.cli import (add_cfg_options, add_size,
                                                 run_tool)
from mmcls_repmlp.apis.get_flops import get_flops


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    add_size(parser, '--shape', "of the image; default: the model's img_size")
    parser.add_argument(
        '--both-forms', action='store_true', help='count the deploy form too')
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    return run_tool(
        parser, lambda: get_flops(args.config, args.shape, args.both_forms,
                                  args.cfg_options))


if __name__ == '__main__':
    sys.exit(main())
