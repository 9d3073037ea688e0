"""Train the model of a config."""
from __future__ import annotations

from repmlp_lite.signals import exit_on_stop

if __name__ == '__main__':
    exit_on_stop()  # before the other imports

import sys
from collections.abc import Sequence

from repmlp_lite.command_line import (add_runner_arguments, choices,
                                      new_parser, run_tool)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(__doc__)
    parser.add_argument('config', help='config file')
    add_runner_arguments(parser)
    parser.add_argument(
        '--data',
        metavar='FOLDER',
        help="photos to train on in place of the config's data: a subfolder "
        'for each class, or train and val of such')
    parser.add_argument(
        '--epochs', type=int, help='length of the training run')
    parser.add_argument(
        '--batch-size', type=int, help='images per process in a batch')
    parser.add_argument(
        '--lr', type=float, help='learning rate, before any scaling')
    parser.add_argument(
        '--workers', type=int, help='processes that each data loader has')
    parser.add_argument(
        '--resume',
        nargs='?',
        const=choices.LATEST,
        metavar='CKPT',
        help='resume from this checkpoint, or from the newest intact one in '
        'the work folder if none is named')
    parser.add_argument(
        '--new-schedule',
        action='store_true',
        help='with --resume, follow the learning rate, weight decay and '
        'schedules of the config, not those of the checkpoint')
    parser.add_argument(
        '--amp',
        action='store_true',
        help='train in mixed precision: float16 on a GPU, bfloat16 on a CPU')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the batch size')
    parser.add_argument(
        '--no-validate', action='store_true', help='skip validation')
    parser.add_argument('--seed', type=int, help='seed of random numbers')
    parser.add_argument(
        '--check-data',
        action='store_true',
        help='read all images before the first step, and name those that '
        'cannot be read')
    parser.add_argument(
        '--force',
        action='store_true',
        help='remove checkpoints of another training run in the work folder')
    return run_tool(parser, 'mmcls_repmlp.jobs.train.train:train',
                    parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
