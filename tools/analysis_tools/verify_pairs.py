"""Test how well a model's features distinguish identities, in pairs."""
from __future__ import annotations

from repmlp_lite.signals import exit_on_stop

if __name__ == '__main__':
    exit_on_stop()  # before the other imports

import sys
from collections.abc import Sequence

from repmlp_lite.command_line import (add_cfg_options,
                                      add_config_and_checkpoint, add_device,
                                      add_force, new_parser, run_tool)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(__doc__)
    add_config_and_checkpoint(parser)
    parser.add_argument(
        'folder',
        nargs='?',
        help="images, a subfolder for each identity; default: the config's "
        'test data')
    parser.add_argument(
        '--out', metavar='FILE', help='picture of the ROC curve (.png)')
    parser.add_argument('--max-pairs', type=int, help='default: 6000')
    add_device(parser)
    add_force(parser)
    add_cfg_options(parser)
    return run_tool(parser, 'mmcls_repmlp.jobs.verify_pairs:verify_pairs',
                    parser.parse_intermixed_args(argv))


if __name__ == '__main__':
    sys.exit(main())
