"""What all command-line tools share: arguments, messages, exit codes."""
from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

import torch.distributed as dist

from mmcls_repmlp.errors import JobFailedError

from .boundary import outcome
from .failures import describe, keep_traceback
from .options import KeyValue

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')


def run_tool(parser: argparse.ArgumentParser, job: Callable[[],
                                                            object]) -> int:
    """Run a job and turn its outcome into an exit code.

    Whatever happens is one sentence for the user; the traceback of what was
    not foreseen goes to the log file that the sentence names.

    Args:
        parser: The tool's parser, for its name.
        job: The work; may raise UserError or JobFailedError with a message
            for the user, and KeyboardInterrupt with what was saved.

    Returns:
        0 when done, 2 if the user must change something, 1 on failure, 130
        after Ctrl-C, 143 after SIGTERM, 141 if nobody reads the output any
        more. One of several processes ends with that code and does not
        return.
    """
    code = outcome(parser.prog, job, _failure)
    if dist.is_available() and dist.is_initialized():
        _end_process(code)
    return code


def _failure(error: Exception, name: str) -> str:
    if not isinstance(error, JobFailedError):
        return describe(error) + keep_traceback(error, name)
    where = keep_traceback(error, name) if error.__cause__ else ''
    return f'{error}{where}'


def _end_process(code: int) -> None:
    # All is written by now. While the interpreter ends in its own time, gloo's
    # threads abort the process now and then, and its exit code with it.
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def add_config_and_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add ``config`` and ``checkpoint``, which belong together."""
    parser.add_argument('config', help='config file')
    parser.add_argument(
        'checkpoint', help='checkpoint that fits it, a file or URL')
    add_key(parser)


def add_runner_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that training and testing share."""
    parser.add_argument(
        '--work-dir',
        help="folder of logs and results; default: the config's work_dir, or "
        'work_dirs/NAME_OF_CONFIG')
    add_cfg_options(parser)
    parser.add_argument(
        '--launcher',
        choices=LAUNCHERS,
        default='none',
        help='how processes were started; default: none, a single one')
    # Older launchers pass the rank as an argument instead of LOCAL_RANK.
    parser.add_argument(
        '--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS)


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
        default='cpu',
        help='where to run the model, for example cuda:0; default: cpu')


class _Size(argparse.Action):

    def __call__(self,
                 parser: argparse.ArgumentParser,
                 namespace: argparse.Namespace,
                 values: Sequence[int],
                 option_string: str | None = None) -> None:
        if len(values) > 2 or min(values) < 1:
            parser.error(f'{option_string} takes one or two positive numbers')
        setattr(namespace, self.dest, (values[0], values[-1]))


def add_size(parser: argparse.ArgumentParser,
             name: str,
             what: str,
             required: bool = False) -> None:
    """Add an option that takes a height and a width, or one for both.

    Args:
        parser: The tool's parser.
        name: The option, such as '--shape'.
        what: Its help, which goes on after 'height and width'.
        required: Whether it must be given. Defaults to False.
    """
    parser.add_argument(
        name,
        nargs='+',
        type=int,
        action=_Size,
        metavar='PIXELS',
        required=required,
        help=f'height and width {what}; one number stands for both')


def adopt_local_rank(rank: int | None) -> None:
    """Pass a rank given as an argument on to where mmengine reads it."""
    os.environ.setdefault('LOCAL_RANK', str(rank or 0))
