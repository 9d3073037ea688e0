"""Print the likeliest classes of images, by an exported file.

Needs the file's runtime, numpy, Pillow and, where the config reads or resizes
images by it, opencv; neither mmcls nor mmengine.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

_PIP = {'PIL': 'pillow'}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'exported', help='exported file, with its .json beside it')
    parser.add_argument(
        'images',
        nargs='+',
        metavar='image',
        help='image, folder of images with all below it, or quoted pattern')
    parser.add_argument(
        '--out',
        metavar='TABLE',
        help='write a table, .csv or .json, in place of lines')
    parser.add_argument(
        '--force', action='store_true', help='replace an existing table')
    parser.add_argument(
        '--batch-size',
        type=int,
        default=argparse.SUPPRESS,
        help='images that the file is given at a time; default: 16')
    parser.add_argument(
        '--top-k',
        type=int,
        default=argparse.SUPPRESS,
        help='classes of each image; default: 5')
    parser.add_argument(
        '--trust',
        action='store_true',
        help='let code in the file run, such as TorchScript that does more '
        'than arithmetic; default: such files are refused')
    args = parser.parse_args(argv)
    # This clone, installed or not; else the package that is installed.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    try:
        from repmlp_lite.command_line import outcome
    except ImportError:
        parser.error('mmcls_repmlp is not installed: run pip install '
                     'mmcls_repmlp')
    return outcome(parser.prog, lambda: _predict(**vars(args)))


def _predict(**arguments) -> None:
    from repmlp_lite.errors import UserError
    try:
        from repmlp_lite.predict import predict
        predict(**arguments)
    except ModuleNotFoundError as error:
        name = str(error.name).split('.')[0]
        raise UserError(f'{name} is not installed: run pip install '
                        f'{_PIP.get(name, name)}') from error


if __name__ == '__main__':
    sys.exit(main())
