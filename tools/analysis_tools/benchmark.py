"""Time two implementations or forms of RepMLPNet side by side.

A contestant is rc6 or ours, a colon, and a form: train-step, train-form,
deploy, fused, compiled, onnx, openvino. For example:

    benchmark.py rc6:deploy ours:fused --batch 1 8 32
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarking.benchmark_models import DTYPES, benchmark

from mmcls_repmlp.apis._command_line.cli import run_tool


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('first', help='contestant that sets the scale')
    parser.add_argument('second', help='contestant to compare with it')
    parser.add_argument('--arch', default='b', help='default: b')
    parser.add_argument(
        '--img-size', type=int, nargs='+', default=[224], help='default: 224')
    parser.add_argument(
        '--batch', type=int, nargs='+', default=[8], help='default: 8')
    parser.add_argument(
        '--dtype', choices=DTYPES, default=DTYPES[0], help='default: float32')
    parser.add_argument(
        '--rounds', type=int, default=9, help='timed runs of each; default: 9')
    parser.add_argument(
        '--out-dir', help='folder for benchmark.csv and benchmark.png')
    args = parser.parse_args(argv)
    return run_tool(
        parser, lambda: benchmark(
            args.first,
            args.second,
            arch=args.arch,
            img_sizes=args.img_size,
            batches=args.batch,
            dtype=args.dtype,
            rounds=args.rounds,
            out_dir=args.out_dir))


if __name__ == '__main__':
    sys.exit(main())
