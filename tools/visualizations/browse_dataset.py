"""Write pictures of the samples that a config feeds its model."""
from __future__ import annotations

from repmlp_lite.signals import exit_on_stop

if __name__ == '__main__':
    exit_on_stop()  # before the other imports

import sys
from collections.abc import Sequence

from repmlp_lite.command_line import (add_cfg_options, add_force, choices,
                                      new_parser, run_tool)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('out_dir', help='folder to write to, new or empty')
    parser.add_argument(
        '--phase',
        choices=choices.PHASES,
        help='which data set; default: train')
    parser.add_argument(
        '-n',
        '--number',
        type=int,
        help='how many samples, spread evenly over the data set; default: 20')
    parser.add_argument(
        '--mode',
        choices=choices.MODES,
        help='show the output of the pipeline, its input (original), both '
        '(concat), or every step (pipeline); default: transformed')
    add_force(parser)
    add_cfg_options(parser)
    return run_tool(parser, 'mmcls_repmlp.jobs.browse_dataset:browse_dataset',
                    parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
