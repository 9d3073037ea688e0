"""Export a checkpoint to ONNX, OpenVINO or torch.export."""
from __future__ import annotations

from repmlp_lite.signals import exit_on_stop

if __name__ == '__main__':
    exit_on_stop()  # before the other imports

import sys
from collections.abc import Sequence

from repmlp_lite.command_line import (add_cfg_options,
                                      add_config_and_checkpoint, add_force,
                                      add_size, choices, new_parser, run_tool)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(__doc__)
    add_config_and_checkpoint(parser)
    parser.add_argument('out', help='file to write: .onnx, .xml or .pt2')
    parser.add_argument(
        '--precision',
        choices=choices.PRECISIONS,
        help='of weights and arithmetic; default: fp32')
    parser.add_argument(
        '--with-preprocess',
        action='store_true',
        help='let the file take raw uint8 RGB images and normalise them')
    parser.add_argument(
        '--calibrate',
        metavar='FOLDER',
        help='for int8: images, in subfolders, to set ranges by')
    parser.add_argument(
        '--opset',
        type=int,
        help="version of ONNX's operators, 18 or newer, for runtimes that do "
        'not know the newest')
    add_size(parser, '--shape', "of the images; default: the model's img_size")
    add_force(parser)
    add_cfg_options(parser)
    return run_tool(parser,
                    'mmcls_repmlp.jobs.export.export:export_checkpoint',
                    parser.parse_intermixed_args(argv))


if __name__ == '__main__':
    sys.exit(main())
