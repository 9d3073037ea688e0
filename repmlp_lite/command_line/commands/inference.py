"""Commands that classify images and export models."""
from __future__ import annotations

from argparse import ArgumentParser as Parser

from .. import choices
from ..arguments import (add_cfg_options, add_config_and_checkpoint,
                         add_device, add_force, add_images, add_size)


def classify(parser: Parser) -> str:
    """Classify images: print the likeliest classes, draw or tabulate them."""
    add_images(parser)
    add_config_and_checkpoint(parser)
    parser.add_argument(
        '--out',
        metavar='FILE',
        help='table to write, .csv or .json; or, of one image, picture to '
        'draw, .png or .jpg')
    parser.add_argument(
        '--batch-size',
        type=int,
        help='images that the model is given at a time; default: 16')
    parser.add_argument(
        '--top-k', type=int, help='classes of each image; default: 5')
    add_device(parser)
    add_force(parser)
    add_cfg_options(parser)
    return 'mmcls_repmlp.jobs.image_demo:classify_images'


def export(parser: Parser) -> str:
    """Export a checkpoint to ONNX, OpenVINO or torch.export."""
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
    return 'mmcls_repmlp.jobs.export.export:export_checkpoint'


def predict(parser: Parser) -> str:
    """Print the likeliest classes of images, by an exported file.

    Needs the file's runtime, numpy, Pillow and, where the config reads or
    resizes images by it, opencv; neither PyTorch nor a host.
    """
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
    return 'repmlp_lite.predict:predict'
