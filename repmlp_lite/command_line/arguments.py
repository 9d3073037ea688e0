"""What the arguments of several tools share; nothing heavy is needed."""
from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from typing import Any

from .choices import LAUNCHERS
from .literals import holds_dictionary, read_literal

_CONFIGS = ('.py', '.yml', '.yaml', '.json')


def new_parser(description: str | None,
               **kwargs: Any) -> argparse.ArgumentParser:
    """Make a parser that gives what was given, and leaves defaults to jobs.

    Its arguments are those of ``ArgumentParser``.
    """
    return argparse.ArgumentParser(
        description=description, argument_default=argparse.SUPPRESS, **kwargs)


class KeyValue(argparse.Action):
    """Reads KEY=VALUE pairs, and refuses others in words.

    Values are read as mmengine does, and dictionaries as in a config.
    """

    def __call__(self,
                 parser: argparse.ArgumentParser,
                 namespace: argparse.Namespace,
                 values: Any,
                 option_string: str | None = None) -> None:
        """Add the pairs to those read before."""
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of mmengine, as it is imported
            from mmengine.config import DictAction
        read = DictAction(self.option_strings, self.dest)
        for pair in values:
            key, sign, value = pair.partition('=')
            if not sign or not all(map(str.strip, key.split('.'))):
                parser.error(f'{option_string} takes pairs KEY=VALUE: '
                             f'{pair!r} is none')
            try:
                if holds_dictionary(value):
                    given = getattr(namespace, self.dest, None) or {}
                    setattr(namespace, self.dest, {
                        **given, key: read_literal(value)
                    })
                else:
                    read(parser, namespace, [pair], option_string)
            except (AssertionError, RecursionError, ValueError) as error:
                parser.error(f'{option_string}: the value in {pair!r} cannot '
                             f'be read ({error})')


def add_config_and_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add ``config`` and ``checkpoint``, which belong together."""
    add_config(parser)
    parser.add_argument(
        'checkpoint',
        help='checkpoint that fits it, a file or URL, or the work folder of a '
        'training for its newest one')
    add_key(parser)


def add_images(parser: argparse.ArgumentParser) -> None:
    """Add ``images``; config and checkpoint come after them."""
    parser.add_argument(
        'images',
        nargs='+',
        metavar='image',
        help='image, folder of images with all below it, or quoted pattern')


def parse_with_images(parser: argparse.ArgumentParser,
                      argv: Sequence[str] | None) -> argparse.Namespace:
    """Read arguments that begin with :func:`add_images`.

    Images take all but the checkpoint; a config with them is given back.
    """
    args = parser.parse_intermixed_args(argv)
    if args.images[-1].endswith(_CONFIGS):
        args.config = args.images.pop()
    if not args.images:
        parser.error('name an image before the config and the checkpoint')
    return args


def add_config(parser: argparse.ArgumentParser, what: str = 'config') -> None:
    """Add ``config`` of a kind, which may be left out before a checkpoint.

    The parser must read its arguments by ``parse_intermixed_args``, or an
    option between two files would part them.
    """
    parser.add_argument(
        'config',
        nargs='?',
        default=None,
        help=f'{what} file; default: the config that the checkpoint carries')


def add_runner_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that training and testing share."""
    parser.add_argument(
        '--work-dir',
        help="folder of logs and results; default: the config's work_dir, or "
        'work_dirs/NAME_OF_CONFIG')
    add_cfg_options(parser)
    parser.add_argument(
        '--verbose',
        action='store_true',
        default=False,
        help='show all that goes to the log, as it stands')
    parser.add_argument(
        '--launcher',
        choices=LAUNCHERS,
        help='how processes were started; default: none, a single one')
    # Older launchers pass the rank as an argument instead of LOCAL_RANK.
    parser.add_argument(
        '--local_rank',
        '--local-rank',
        type=int,
        default=None,
        help=argparse.SUPPRESS)


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=KeyValue,
        metavar='KEY=VALUE',
        help='change settings of the config, for example '
        'train_dataloader.batch_size=32 or model.backbone.out_indices="[3]"')


def add_force(parser: argparse.ArgumentParser) -> None:
    """Add ``--force``."""
    parser.add_argument(
        '--force', action='store_true', help='replace existing files')


def add_key(parser: argparse.ArgumentParser) -> None:
    """Add ``--key``."""
    parser.add_argument(
        '--key',
        help='entry of the checkpoint that holds the weights, such as '
        'state_dict_ema; needed if it holds several sets of them')


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``."""
    parser.add_argument(
        '--device',
        help='where to run the model, for example cuda:0; default: cpu')


class _Size(argparse.Action):

    def __call__(self,
                 parser: argparse.ArgumentParser,
                 namespace: argparse.Namespace,
                 values: Any,
                 option_string: str | None = None) -> None:
        if len(values) > 2 or min(values) < 1:
            parser.error(f'{option_string} takes one or two positive numbers')
        setattr(namespace, self.dest, (values[0], values[-1]))


def add_size(parser: argparse.ArgumentParser,
             name: str,
             what: str,
             required: bool = False) -> None:
    """Add an option that takes a height and a width, or one for both.

    Its help, ``what``, goes on after 'height and width'; by default it is not
    required.
    """
    parser.add_argument(
        name,
        nargs='+',
        type=int,
        action=_Size,
        metavar='PIXELS',
        required=required,
        help=f'height and width {what}; one number stands for both')
