"""Time implementations and forms of RepMLPNet, and other models.

A candidate is rc6 or ours, a colon, and a form: train-step, train-form,
deploy, fused, compiled, onnx, openvino (and perhaps a colon and an arch); or
timm or host, a colon, and the name of a model, and perhaps a colon and eager,
train-step, compiled, onnx or openvino; or config, a colon, the path of a
config, and perhaps a colon and one of the forms. For example:

    benchmark.py rc6:deploy ours:fused --batch 1 8 32
    benchmark.py config:configs/repmlp/repmlp-mini_1xb64_digits-32px.py:fused
    benchmark.py ours:fused:t timm:resmlp_12_224 timm:deit_small_patch16_224
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from choices import DTYPES

from repmlp_lite.command_line import new_parser, run_tool


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(
        __doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'candidates', nargs='+', help='the first one sets the scale')
    parser.add_argument('--arch', help='default: b')
    parser.add_argument(
        '--img-size',
        dest='img_sizes',
        type=int,
        nargs='+',
        metavar='IMG_SIZE',
        help='default: 224')
    parser.add_argument(
        '--batch',
        dest='batches',
        type=int,
        nargs='+',
        metavar='BATCH',
        help='default: 8')
    parser.add_argument('--dtype', choices=DTYPES, help='default: float32')
    parser.add_argument(
        '--rounds', type=int, help='timed runs of each; default: 9')
    parser.add_argument(
        '--out-dir', help='folder for benchmark.csv and benchmark.png')
    return run_tool(parser, 'benchmark_models:benchmark',
                    parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
