"""Write a checkpoint for release, without training state, named by hash."""
from __future__ import annotations

from repmlp_lite.signals import exit_on_stop

if __name__ == '__main__':
    exit_on_stop()  # before the other imports

import sys
from collections.abc import Sequence

from repmlp_lite.command_line import add_force, add_key, new_parser, run_tool


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(__doc__)
    parser.add_argument(
        'src',
        help='checkpoint, a file or URL, or the work folder of a training run '
        'for its newest one')
    parser.add_argument(
        'dst',
        help='NAME.pth or NAME.safetensors; NAME-0123abcd.pth is written, '
        "with the first digits of the file's SHA-256")
    add_key(parser)
    add_force(parser)
    return run_tool(parser, 'mmcls_repmlp.jobs.publish_model:publish_model',
                    parser.parse_args(argv))


if __name__ == '__main__':
    sys.exit(main())
