"""Test a checkpoint with the model and data of a config."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmcls_repmlp.apis._command_line.cli import (add_config_and_checkpoint,
                                                 add_runner_arguments,
                                                 adopt_local_rank, run_tool)
from mmcls_repmlp.apis._command_line.options import KeyValue
from mmcls_repmlp.apis.test import METRICS, OUT_ITEMS, test


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_and_checkpoint(parser)
    add_runner_arguments(parser)
    parser.add_argument(
        '--metrics',
        nargs='+',
        choices=METRICS,
        default=(),
        help='what to evaluate; default: what the config says')
    parser.add_argument(
        '--metric-options',
        nargs='+',
        action=KeyValue,
        metavar='KEY=VALUE',
        help='options of the metrics, for example topk=1 or topk=1,5')
    parser.add_argument('--out', help='file to write results to')
    parser.add_argument(
        '--out-item',
        choices=OUT_ITEMS,
        help='what to write: predictions (.pkl, the default) or metrics '
        '(.json, .yaml, .pkl)')
    parser.add_argument(
        '--force',
        action='store_true',
        help='replace the file of --out, and pictures in --show-dir')
    parser.add_argument(
        '--show-dir', help='folder for images with their predictions')
    parser.add_argument(
        '--tta', action='store_true', help='average over flipped images')
    args = parser.parse_args(argv)
    if args.out is None and args.out_item is not None:
        parser.error('--out-item needs --out FILE')
    adopt_local_rank(args.local_rank)
    return run_tool(
        parser, lambda: test(
            args.config,
            args.checkpoint,
            metrics=args.metrics,
            metric_options=args.metric_options,
            out=args.out,
            out_item=args.out_item or OUT_ITEMS[0],
            show_dir=args.show_dir,
            tta=args.tta,
            work_dir=args.work_dir,
            key=args.key,
            cfg_options=args.cfg_options,
            launcher=args.launcher,
            force=args.force))


if __name__ == '__main__':
    sys.exit(main())
