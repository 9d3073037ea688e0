"""Make a checkpoint for images of another size out of a trained one."""
from __future__ import annotations

from repmlp_lite.signals import exit_on_stop

if __name__ == '__main__':
    exit_on_stop()  # before the other imports

import sys
from collections.abc import Sequence

from repmlp_lite.command_line import (add_cfg_options, add_force, add_key,
                                      add_size, new_parser, run_tool)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(__doc__)
    parser.add_argument('config', help='config file that SRC belongs to')
    parser.add_argument('src', help='checkpoint, a file or URL')
    parser.add_argument('dst', help='resized checkpoint to write')
    add_size(parser, '--to', 'that the images shall have', required=True)
    add_key(parser)
    add_force(parser)
    add_cfg_options(parser)
    return run_tool(parser,
                    'mmcls_repmlp.jobs.resize_partitions:resize_checkpoint',
                    parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
