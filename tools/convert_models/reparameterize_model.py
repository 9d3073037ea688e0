"""Convert a training checkpoint into a verified deploy checkpoint."""
from __future__ import annotations

from repmlp_lite.signals import exit_on_stop

if __name__ == '__main__':
    exit_on_stop()  # before the other imports

import sys
from collections.abc import Sequence

from repmlp_lite.command_line import (add_cfg_options, add_config, add_force,
                                      add_key, new_parser, run_tool)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(__doc__)
    add_config(parser, 'config of the training form')
    parser.add_argument(
        'src', help='training checkpoint, a file, URL or work folder')
    parser.add_argument('dst', help='deploy checkpoint to write')
    parser.add_argument(
        '--deploy-cfg',
        metavar='PATH',
        help='also write the deploy config, to this file')
    add_key(parser)
    add_force(parser)
    add_cfg_options(parser)
    return run_tool(
        parser,
        'mmcls_repmlp.jobs.reparameterize_model:reparameterize_checkpoint',
        parser.parse_intermixed_args(argv))


if __name__ == '__main__':
    sys.exit(main())
