"""Test a checkpoint with the model and data of a config."""
from __future__ import annotations

from repmlp_lite.signals import exit_on_stop

if __name__ == '__main__':
    exit_on_stop()  # before the other imports

import sys
from collections.abc import Sequence

from repmlp_lite.command_line import (KeyValue, add_config_and_checkpoint,
                                      add_runner_arguments, choices,
                                      new_parser, run_tool)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(__doc__)
    add_config_and_checkpoint(parser)
    add_runner_arguments(parser)
    parser.add_argument(
        '--metrics',
        nargs='+',
        choices=choices.METRICS,
        help="metrics to evaluate; default: the config's")
    parser.add_argument(
        '--metric-options',
        nargs='+',
        action=KeyValue,
        metavar='KEY=VALUE',
        help='options of the metrics, for example topk=1 or topk=1,5')
    parser.add_argument('--out', help='file to write results to')
    parser.add_argument(
        '--out-item',
        choices=choices.OUT_ITEMS,
        help='its content: predictions (.pkl, the default) or metrics (.json, '
        '.yaml, .pkl)')
    parser.add_argument(
        '--force',
        action='store_true',
        help='replace the file of --out, and pictures in --show-dir')
    parser.add_argument(
        '--show-dir', help='folder for images with their predictions')
    parser.add_argument(
        '--tta', action='store_true', help='average over flipped images')
    args = parser.parse_intermixed_args(argv)
    if 'out_item' in args and 'out' not in args:
        parser.error('--out-item needs --out FILE')
    return run_tool(parser, 'mmcls_repmlp.jobs.testing.test:test', args)


if __name__ == '__main__':
    sys.exit(main())
