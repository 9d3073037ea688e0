"""Commands that look into models."""
from __future__ import annotations

from argparse import ArgumentParser as Parser

from .. import choices
from ..arguments import (add_cfg_options, add_config_and_checkpoint,
                         add_device, add_force, add_images, add_key, add_size)


def cam(parser: Parser) -> str:
    """Draw which parts of images speak for a class (class activation maps)."""
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
    return 'mmcls_repmlp.jobs.vis_cam:vis_cam'


def locality(parser: Parser) -> str:
    """Draw the effect of merging on fc3, for one output of one block."""
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='training checkpoint')
    add_key(parser)
    parser.add_argument('out', metavar='OUT.png', help='picture to draw')
    parser.add_argument(
        '--block',
        metavar='STAGE.INDEX',
        help='which block, or the name of its module; default: the first')
    parser.add_argument(
        '--position',
        nargs=2,
        type=int,
        metavar=('ROW', 'COL'),
        help='which output, within a partition; default: its centre')
    parser.add_argument(
        '--shareset', type=int, help='which shareset; default: 0')
    parser.add_argument(
        '--over-training',
        nargs='+',
        metavar='CHECKPOINT',
        help='earlier checkpoints, to draw a row of each')
    add_force(parser)
    add_cfg_options(parser)
    return 'mmcls_repmlp.jobs.vis_locality:vis_locality'


def verify(parser: Parser) -> str:
    """Test how well a model's features distinguish identities, in pairs."""
    add_config_and_checkpoint(parser)
    parser.add_argument(
        'folder',
        nargs='?',
        help="images, a subfolder for each identity; default: the config's "
        'test data')
    parser.add_argument(
        '--out', metavar='FILE', help='picture of the ROC curve (.png)')
    parser.add_argument('--max-pairs', type=int, help='default: 6000')
    add_device(parser)
    add_force(parser)
    add_cfg_options(parser)
    return 'mmcls_repmlp.jobs.verify_pairs:verify_pairs'


def flops(parser: Parser) -> str:
    """Count parameters and multiply-accumulates of a config's model."""
    parser.add_argument('config', help='config file')
    add_size(parser, '--shape', "of the image; default: the model's img_size")
    parser.add_argument(
        '--both-forms', action='store_true', help='count the deploy form too')
    add_cfg_options(parser)
    return 'mmcls_repmlp.jobs.get_flops:get_flops'
