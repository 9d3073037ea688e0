"""Print the likeliest classes of images, by an exported file.

Needs the file's runtime, numpy, Pillow and, where the config reads or resizes
images by it, opencv; neither mmcls nor mmengine.
"""
from __future__ import annotations

from repmlp_lite.signals import exit_on_stop

if __name__ == '__main__':
    exit_on_stop()  # before the other imports

import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    # This clone, installed or not; else the package that is installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from repmlp_lite.command_line import (add_force, add_images, new_parser,
                                          run_tool)
    parser = new_parser(__doc__)
    parser.add_argument(
        'exported', help='exported file, with its .json beside it')
    add_images(parser)
    parser.add_argument(
        '--out',
        metavar='TABLE',
        help='write a table, .csv or .json, in place of lines')
    parser.add_argument(
        '--batch-size',
        type=int,
        help='images that the file is given at a time; default: 16')
    parser.add_argument(
        '--top-k', type=int, help='classes of each image; default: 5')
    parser.add_argument(
        '--trust',
        action='store_true',
        help='let code in the file run, which .pt2 files need')
    add_force(parser)
    return run_tool(parser, 'repmlp_lite.predict:predict',
                    parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
