"""Commands that make checkpoints of others."""
from __future__ import annotations

from argparse import ArgumentParser as Parser

from .. import choices
from ..arguments import (add_cfg_options, add_config, add_force, add_key,
                         add_size)


def reparameterize(parser: Parser) -> str:
    """Convert a training checkpoint into a verified deploy checkpoint."""
    add_config(parser, 'config of the training form')
    parser.add_argument(
        'src', help='training checkpoint, a file, URL or work folder')
    parser.add_argument('dst', help='deploy checkpoint to write')
    parser.add_argument(
        '--deploy-cfg',
        metavar='PATH',
        help='also write the deploy config, to this file')
    add_key(parser)
    add_force(parser)
    add_cfg_options(parser)
    return 'mmcls_repmlp.jobs.reparameterize_model:reparameterize_checkpoint'


def publish(parser: Parser) -> str:
    """Write a checkpoint for release, named by its hash."""
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
    return 'mmcls_repmlp.jobs.publish_model:publish_model'


def resize(parser: Parser) -> str:
    """Make a checkpoint for images of another size out of a trained one."""
    parser.add_argument('config', help='config file that SRC belongs to')
    parser.add_argument('src', help='checkpoint, a file or URL')
    parser.add_argument('dst', help='resized checkpoint to write')
    add_size(parser, '--to', 'that the images shall have', required=True)
    add_key(parser)
    add_force(parser)
    add_cfg_options(parser)
    return 'mmcls_repmlp.jobs.resize_partitions:resize_checkpoint'


def convert(parser: Parser) -> str:
    """Convert official or timm's weights to a checkpoint of mmcls, or back."""
    parser.add_argument('src', help='file to convert, or its URL')
    parser.add_argument('dst', help='file to write')
    parser.add_argument(
        '--to-official',
        action='store_true',
        help='the way back: from mmcls to a plain official state dict, of a '
        'ResMLP to that of timm')
    parser.add_argument(
        '--arch',
        type=str.lower,
        choices=choices.ARCHS,
        help='variant that it must be; default: the one of its shapes')
    add_size(
        parser, '--img-size', 'of the images trained on; default: square '
        'ones, by the shapes')
    add_key(parser)
    add_force(parser)
    return 'mmcls_repmlp.jobs.repmlp_to_mmcls:convert'
