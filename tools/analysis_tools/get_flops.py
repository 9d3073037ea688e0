"""Count parameters and multiply-accumulates of a config's model."""
from __future__ import annotations

from repmlp_lite.signals import exit_on_stop

if __name__ == '__main__':
    exit_on_stop()  # before the other imports

import sys
from collections.abc import Sequence

from repmlp_lite.command_line import (add_cfg_options, add_size, new_parser,
                                      run_tool)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(__doc__)
    parser.add_argument('config', help='config file')
    add_size(parser, '--shape', "of the image; default: the model's img_size")
    parser.add_argument(
        '--both-forms', action='store_true', help='count the deploy form too')
    add_cfg_options(parser)
    return run_tool(parser, 'mmcls_repmlp.jobs.get_flops:get_flops',
                    parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
