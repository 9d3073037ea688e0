"""Arguments that several tools share, and values of KEY=VALUE pairs."""
from __future__ import annotations

import argparse
import ast
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from repmlp_lite.signals import leave_last_line

from .choices import LAUNCHERS

_CONFIGS = ('.py', '.yml', '.yaml', '.json')
_WORDS = {'true': True, 'false': False, 'none': None}
# A quoted text, or a single character.
_TOKEN = re.compile(r"""'[^']*'|"[^"]*"|.""", re.DOTALL)


def new_parser(description: str | None,
               **kwargs: Any) -> argparse.ArgumentParser:
    """Make a parser that sets given arguments only; jobs have the defaults."""
    return _Parser(
        description=description, argument_default=argparse.SUPPRESS, **kwargs)


class _Parser(argparse.ArgumentParser):

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # In --option=~/folder, no shell does it.
        self.register('type', None, os.path.expanduser)

    def error(self, message: str) -> NoReturn:
        if leave_last_line(f'{self.prog}: error: {message}'):
            self.exit(2)
        super().error(message)


class KeyValue(argparse.Action):
    """Action that collects KEY=VALUE pairs, values by :func:`read_value`."""

    def __call__(self,
                 parser: argparse.ArgumentParser,
                 namespace: argparse.Namespace,
                 values: Any,
                 option_string: str | None = None) -> None:
        """Add the pairs to those read before."""
        pairs = {**(getattr(namespace, self.dest, None) or {})}
        for pair in values:
            key, sign, value = pair.partition('=')
            if not sign or not all(map(str.strip, key.split('.'))):
                parser.error(f'{option_string} takes pairs KEY=VALUE: '
                             f'{pair!r} is not one')
            try:
                pairs[key] = read_value(value)
            except (ValueError, RecursionError) as error:
                parser.error(f'{option_string}: the value in {pair!r} cannot '
                             f'be read ({error})')
        setattr(namespace, self.dest, pairs)


def read_value(text: str) -> Any:
    """Read a value as mmengine's tools do, and dictionaries as in a config.

    A number, ``true``, ``false`` or ``none`` in any case; a dictionary of
    literals, ``{'key': value}`` or ``dict(key=value)``; a list of values,
    ``a,b`` or ``[a,b]``; a tuple, ``(a,b)``; otherwise the text itself. Quotes
    around a value are ignored. Nothing is run.
    """
    text = text.strip()
    if len(text) > 1 and _TOKEN.fullmatch(text):
        text = text[1:-1].strip()
    if text.startswith(('dict(', '{')):
        return _read_literal(text)
    if ',' in text or text.startswith(('[', '(')):
        items = _split(text)
        if len(items) > 1 or text.endswith(','):
            return [*map(read_value, items)]
        if text[0] + text[-1] == '[]':
            return [*map(read_value, _split(text[1:-1]))]
        if text[0] + text[-1] == '()':
            return (*map(read_value, _split(text[1:-1])), )
    for number in (int, float):
        with suppress(ValueError):
            return number(text)
    return _WORDS.get(text.lower(), text)


def _split(text: str) -> list[str]:
    """Split at the commas outside of brackets and quotes."""
    items, depth = [''], 0
    for token in _TOKEN.findall(text):
        depth += (token in '([{') - (token in ')]}')
        if depth < 0:
            break
        if token == ',' and not depth:
            items.append('')
        else:
            items[-1] += token
    if depth:
        raise ValueError('its brackets do not match')
    return items if items[-1].strip() else items[:-1]


def _read_literal(text: str) -> Any:
    try:
        tree = ast.parse(text, mode='eval')
        return ast.literal_eval(_DictCalls().visit(tree))
    except (SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(str(error)) from error


class _DictCalls(ast.NodeTransformer):
    """Rewrite of ``dict(key=value)`` as ``{'key': value}``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        names = [keyword.arg for keyword in node.keywords]
        if node.args or None in names or not (isinstance(node.func, ast.Name)
                                              and node.func.id == 'dict'):
            return node
        return ast.Dict([*map(ast.Constant, names)],
                        [keyword.value for keyword in node.keywords])


def _adder(*names: str, **settings: Any) -> Callable[..., None]:
    """Make a function that adds an argument to a parser."""

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(*names, **settings)

    return add


# The config and the checkpoint come after the images.
add_images = _adder(
    'images',
    nargs='+',
    metavar='image',
    help='image, folder of images with all below it, or quoted pattern')
add_cfg_options = _adder(
    '--cfg-options',
    nargs='+',
    action=KeyValue,
    metavar='KEY=VALUE',
    help='change settings of the config, for example '
    'train_dataloader.batch_size=32 or model.backbone.out_indices="[3]"')
add_force = _adder(
    '--force', action='store_true', help='replace existing files')
add_key = _adder(
    '--key',
    help='entry of the checkpoint that holds the weights, such as '
    'state_dict_ema; needed if it holds several sets of them')
add_no_pictures = _adder(
    '--no-pictures',
    dest='pictures',
    action='store_false',
    help='draw no pictures of the results')
add_device = _adder(
    '--device',
    help='where to run the model, for example cuda:0; default: cpu')


def add_config_and_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add ``config``, ``checkpoint`` and ``--key``."""
    add_config(parser)
    parser.add_argument(
        'checkpoint',
        help='checkpoint that fits it: a file, a URL, or the work folder of a '
        'training run for its newest one')
    add_key(parser)


def read_arguments(parser: argparse.ArgumentParser,
                   argv: Sequence[str] | None) -> argparse.Namespace:
    """Read arguments in any order; a config among images is moved."""
    args = parser.parse_intermixed_args(argv)
    images = getattr(args, 'images', None)
    if images and images[-1].endswith(_CONFIGS) and 'exported' not in args:
        args.config = images.pop()
    if images == []:
        parser.error('name an image before the config and the checkpoint')
    return args


def add_config(parser: argparse.ArgumentParser, what: str = 'config') -> None:
    """Add ``config`` of a kind, which may be left out."""
    parser.add_argument(
        'config',
        nargs='?',
        default=None,
        help=f'{what} file; default: the one beside the checkpoint')


def add_runner_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that training and testing share."""
    parser.add_argument(
        '--work-dir',
        help="folder of logs and results; default: the config's work_dir, or "
        'work_dirs/NAME_OF_CONFIG')
    add_cfg_options(parser)
    parser.add_argument(
        '--device', help='cpu, cuda or cuda:1; default: a GPU if there is one')
    parser.add_argument(
        '--verbose',
        action='store_true',
        default=False,
        help='print the full log')
    parser.add_argument(
        '--launcher',
        choices=LAUNCHERS,
        help='how processes were started; default: none, a single one')
    # Of older launchers, in the place of LOCAL_RANK.
    parser.add_argument(
        '--local_rank',
        '--local-rank',
        type=int,
        default=None,
        help=argparse.SUPPRESS)


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
    """Add an option for a height and a width ``what``, or a single number."""
    parser.add_argument(
        name,
        nargs='+',
        type=int,
        action=_Size,
        metavar='PIXELS',
        required=required,
        help=f'height and width {what}; one number stands for both')
