"""Keep of a checkpoint what running it needs; name it by its hash."""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mmcls_repmlp.apis._command_line.cli import add_force, add_key, run_tool
from mmcls_repmlp.apis.publish_model import publish_model


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('src', help='checkpoint, a file or URL')
    parser.add_argument(
        'dst',
        help='NAME.pth; NAME-0123abcd.pth is written, with the first '
        "digits of the file's SHA-256")
    add_key(parser)
    add_force(parser)
    args = parser.parse_args(argv)
    return run_tool(
        parser,
        lambda: publish_model(args.src, args.dst, args.key, args.force))


if __name__ == '__main__':
    sys.exit(main())
