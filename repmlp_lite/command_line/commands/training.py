"""Commands that look at data, train and test."""
from __future__ import annotations

from argparse import ArgumentParser as Parser

from .. import choices
from ..arguments import (KeyValue, add_cfg_options, add_config_and_checkpoint,
                         add_force, add_no_pictures, add_runner_arguments,
                         add_size)


def browse(parser: Parser) -> str:
    """Write pictures of the samples that a config feeds its model."""
    parser.add_argument('config', help='config file')
    parser.add_argument('out_dir', help='folder to write to, new or empty')
    parser.add_argument(
        '--phase',
        choices=choices.PHASES,
        help='which data set; default: train')
    parser.add_argument(
        '-n',
        '--number',
        type=int,
        help='how many samples, spread evenly over the data set; default: 20')
    parser.add_argument(
        '--mode',
        choices=choices.MODES,
        help='show the output of the pipeline, its input (original), both '
        '(concat), or every step (pipeline); default: transformed')
    add_force(parser)
    add_cfg_options(parser)
    return 'mmcls_repmlp.jobs.browse_dataset:browse_dataset'


def train(parser: Parser) -> str:
    """Train the model of a config."""
    parser.add_argument('config', help='config file')
    add_runner_arguments(parser)
    parser.add_argument(
        '--data',
        metavar='FOLDER',
        help="photos to train on in place of the config's data: a subfolder "
        'for each class, or train and val of such')
    parser.add_argument(
        '--epochs', type=int, help='length of the training run')
    parser.add_argument(
        '--batch-size', type=int, help='images per process in a batch')
    parser.add_argument(
        '--lr', type=float, help='learning rate, before any scaling')
    add_size(parser, '--img-size', "of the images; default: the config's")
    parser.add_argument(
        '--workers', type=int, help='processes that each data loader has')
    parser.add_argument(
        '--resume',
        nargs='?',
        const=choices.LATEST,
        metavar='CKPT',
        help='resume from this checkpoint, or from the newest intact one in '
        'the work folder if none is named')
    parser.add_argument(
        '--new-schedule',
        action='store_true',
        help='with --resume, follow the learning rate, weight decay and '
        'schedules of the config, not those of the checkpoint')
    parser.add_argument(
        '--amp',
        action='store_true',
        help='train in mixed precision: float16 on a GPU, bfloat16 on a CPU')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the batch size')
    parser.add_argument(
        '--no-validate', action='store_true', help='skip validation')
    parser.add_argument(
        '--no-test', action='store_true', help='skip the test at the end')
    add_no_pictures(parser)
    parser.add_argument('--seed', type=int, help='seed of random numbers')
    parser.add_argument(
        '--check-data',
        action='store_true',
        help='read all images before the first step, and name those that '
        'cannot be read')
    parser.add_argument(
        '--force',
        action='store_true',
        help='remove checkpoints of another training run in the work folder')
    return 'mmcls_repmlp.jobs.train.train:train'


def test(parser: Parser) -> str:
    """Test a checkpoint with the model and data of a config."""
    add_config_and_checkpoint(parser)
    add_runner_arguments(parser)
    parser.add_argument(
        '--data',
        metavar='FOLDER',
        help="photos to test on in place of the config's data: a subfolder "
        'for each class, or a folder test or val of such')
    parser.add_argument(
        '--metrics',
        nargs='+',
        choices=choices.METRICS,
        help="metrics to evaluate; default: the config's")
    parser.add_argument(
        '--metric-options',
        nargs='+',
        action=KeyValue,
        metavar='KEY=VALUE',
        help='options of the metrics, for example topk=1 or topk=1,5')
    parser.add_argument('--out', help='file to write results to')
    parser.add_argument(
        '--out-item',
        choices=choices.OUT_ITEMS,
        help='its content: predictions (.pkl, the default) or metrics (.json, '
        '.yaml, .pkl)')
    parser.add_argument(
        '--force',
        action='store_true',
        help='replace the file of --out, and pictures in --show-dir')
    parser.add_argument(
        '--show-dir', help='folder for images with their predictions')
    add_no_pictures(parser)
    parser.add_argument(
        '--tta', action='store_true', help='average over flipped images')
    return 'mmcls_repmlp.jobs.testing.test:test'
