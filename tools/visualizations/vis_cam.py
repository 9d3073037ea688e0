"""Draw which parts of images speak for a class (class activation maps)."""
from __future__ import annotations

from repmlp_lite.signals import exit_on_stop

if __name__ == '__main__':
    exit_on_stop()  # before the other imports

import sys
from collections.abc import Sequence

from repmlp_lite.command_line import (add_cfg_options,
                                      add_config_and_checkpoint, add_device,
                                      add_force, add_images, choices,
                                      new_parser, parse_with_images, run_tool)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = new_parser(__doc__)
    add_images(parser)
    add_config_and_checkpoint(parser)
    parser.add_argument(
        '--out',
        required=True,
        metavar='PATH',
        help='picture to draw all images in, .png or .jpg; or folder, new or '
        'empty, for a picture of each')
    parser.add_argument(
        '--method',
        choices=choices.CAM_METHODS,
        help='how maps are computed; default: gradcam')
    parser.add_argument(
        '--layer',
        metavar='NAME',
        help='module whose map is drawn, such as stages.1; default: the one '
        'whose map the head takes')
    parser.add_argument(
        '--target',
        metavar='CLASS',
        help='name or number of the class to explain; default: the predicted '
        'one of each image')
    add_device(parser)
    add_force(parser)
    add_cfg_options(parser)
    return run_tool(parser, 'mmcls_repmlp.jobs.vis_cam:vis_cam',
                    parse_with_images(parser, argv))


if __name__ == '__main__':
    sys.exit(main())
