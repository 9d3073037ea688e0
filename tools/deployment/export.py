"""Export a checkpoint to ONNX, OpenVINO, torch.export or TorchScript."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmcls_repmlp.apis._command_line.cli import (add_cfg_options, add_force,
                                                 add_key, add_size, run_tool)
from mmcls_repmlp.apis.export import PRECISIONS, export_checkpoint


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file of either form')
    parser.add_argument('checkpoint', help='training or deploy checkpoint')
    add_key(parser)
    parser.add_argument('out', help='file to write: .onnx, .xml, .pt2, .pt')
    parser.add_argument(
        '--precision',
        choices=PRECISIONS,
        default='fp32',
        help='of weights and arithmetic; default: fp32')
    parser.add_argument(
        '--with-preprocess',
        action='store_true',
        help='take raw uint8 RGB images and normalise them inside')
    parser.add_argument(
        '--calibrate',
        metavar='FOLDER',
        help='for int8: images, in subfolders, to set ranges by')
    add_size(parser, '--shape', "of the images; default: the model's img_size")
    add_force(parser)
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    return run_tool(
        parser, lambda: export_checkpoint(
            args.config,
            args.checkpoint,
            args.out,
            precision=args.precision,
            with_preprocess=args.with_preprocess,
            calibrate=args.calibrate,
            shape=args.shape,
            force=args.force,
            key=args.key,
            cfg_options=args.cfg_options))


if __name__ == '__main__':
    sys.exit(main())
