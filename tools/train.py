"""Train the model of a config."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmcls_repmlp.apis._command_line.cli import (add_runner_arguments,
                                                 adopt_local_rank, run_tool)
from mmcls_repmlp.apis.train import LATEST, train


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    add_runner_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const=LATEST,
        metavar='CKPT',
        help='go on from this checkpoint, or from the newest whole one in '
        'the work folder if none is named')
    parser.add_argument(
        '--amp', action='store_true', help='train in mixed precision')
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
        help='remove checkpoints of another training in the work folder')
    args = parser.parse_args(argv)
    adopt_local_rank(args.local_rank)
    return run_tool(
        parser, lambda: train(
            args.config,
            work_dir=args.work_dir,
            resume=args.resume,
            amp=args.amp,
            auto_scale_lr=args.auto_scale_lr,
            no_validate=args.no_validate,
            cfg_options=args.cfg_options,
            launcher=args.launcher,
            seed=args.seed,
            check_data=args.check_data,
            force=args.force))


if __name__ == '__main__':
    sys.exit(main())
