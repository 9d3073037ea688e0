"""How every tool runs its job: arguments in, a sentence and exit code out."""
from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from errno import EINVAL, ELOOP, ENAMETOOLONG
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from repmlp_lite import console
from repmlp_lite.errors import (ImageError, JobFailedError, UserError,
                                describe, printable, quote_path, with_flags)
from repmlp_lite.signals import (exit_code, interrupt_cause, leave_last_line,
                                 raise_stops)

from .unread_output import discard_unread_output

# What to install for a module, where that has another name.
_PACKAGES = dict(
    PIL='pillow',
    cv2='opencv-python',
    mmcv='"mmcls_repmlp[mmcls]"',
    mmengine='"mmcls_repmlp[mmcls]"',
    sklearn='scikit-learn',
    torch='"mmcls_repmlp[mmcls]"')


def run_tool(parser: argparse.ArgumentParser, job: str | Callable[..., object],
             args: argparse.Namespace) -> int:
    """Call a job with a tool's arguments; an error becomes a sentence.

    The sentence goes to stderr. The traceback of an unexpected error goes to
    the log file that the sentence names.
    The job is a function, or 'MODULE:FUNCTION' to import it only now.

    Returns:
        0 when done, 2 if the user must change something, 1 on failure, 130
        after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP, 141 if nobody reads
        the output. One of several processes ends with that code instead.
    """
    arguments = vars(args).copy()
    if 'local_rank' in arguments:
        rank = arguments.pop('local_rank')  # which mmengine looks for there
        os.environ.setdefault('LOCAL_RANK', str(rank or 0))
    # OpenCV would print its own lines about an image beside the sentence.
    os.environ.setdefault('OPENCV_LOG_LEVEL', 'SILENT')
    # A training run goes on when its log cannot be printed (`| head`).
    raises, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        code = _exit_code(parser.prog, job, arguments)
    finally:
        logging.raiseExceptions = raises
    dist = sys.modules.get('torch.distributed')
    if dist and dist.is_available() and dist.is_initialized():
        _end_process(code)
    return code


def _exit_code(name: str, job: str | Callable[..., object],
               arguments: dict[str, Any]) -> int:
    try:
        _call(job, arguments)
        discard_unread_output()
    except KeyboardInterrupt as stop:
        return _report_stop(name, stop)
    except Exception as error:
        cause = interrupt_cause(error)
        if cause is not None:
            return _report_stop(name, cause)
        if isinstance(error, UserError):
            _print_line(name, f'error: {error}')
            return 2
        if isinstance(error, BrokenPipeError) and discard_unread_output():
            return 141
        _print_line(name, f'error: {_describe_failure(error, name)}')
        return 1
    return 0


def _check_argument(name: str, value: Any) -> None:
    for text in value if isinstance(value, list) else [value]:
        if text == '':  # as a path it would be the current folder
            raise UserError(f'argument {name!r} is empty: give it a value (a '
                            'variable of the shell may not be set)')
        try:
            os.stat(text if isinstance(text, str) else '.')
        except (OSError, ValueError) as error:
            reason = getattr(error, 'errno', None) or EINVAL
            if reason in (EINVAL, ENAMETOOLONG, ELOOP):
                raise UserError(
                    f'argument {name!r} is not a usable path, '
                    f'{quote_path(text)}: {os.strerror(reason)}') from error


def _call(job: str | Callable[..., object], arguments: dict[str, Any]) -> None:
    for name, value in arguments.items():
        _check_argument(name, value)
    try:
        function = resolve_name(job) if isinstance(job, str) else job
    except ModuleNotFoundError as error:
        name = str(error.name).split('.')[0]
        raise UserError(f'{name} is not installed: run pip install '
                        f'{_PACKAGES.get(name, name)}') from error
    with warnings.catch_warnings():
        # mmengine finds packages and operators by old functions. Torch warns
        # of more workers than cores, which larger machines have, and of arrays
        # that a host's data set only reads.
        for module, message in (('mmengine',
                                 "pkg_resources is|'pkgutil.find_loader'"),
                                ('torch', 'This DataLoader will create'),
                                (r'.*\.mnist', 'The given NumPy array is')):
            warnings.filterwarnings('ignore', message, module=module)
        with raise_stops():
            function(**arguments)


def _report_stop(name: str, stop: KeyboardInterrupt) -> int:
    _print_line(name, f'stopped: {stop}' if str(stop) else 'stopped')
    return exit_code()


def _print_line(name: str, message: str) -> None:
    console.close_all()  # a bar would be drawn over it
    line = printable(f'{name}: {" ".join(with_flags(message).split())}')
    # Every process prints its own error, not only the first.
    if not leave_last_line(line):
        with suppress(OSError):
            print(line, file=sys.stderr)


def _describe_failure(error: Exception, name: str) -> str:
    if not isinstance(error, JobFailedError):
        return describe(error) + save_traceback(error, name)
    is_plain = error.__cause__ is None or isinstance(error, ImageError)
    return str(error) + ('' if is_plain else save_traceback(error, name))


def save_traceback(error: BaseException, name: str) -> str:
    """Append the traceback of an error to the log of the run.

    Without a log it goes to a new file. Return the end of a sentence with its
    name; empty if nothing can be written.
    """
    text = ''.join(traceback.format_exception(error))
    for find in (_log_file, lambda: _new_file(name)):
        with suppress(OSError):
            path = find()
            if path is not None:
                with open(path, 'a', encoding='utf-8') as file:
                    file.write(f'\n{text}')
                return f' (the traceback is in {path})'
    return ''


def _log_file() -> str | None:
    loggers = getattr(sys.modules.get('mmengine.logging'), 'MMLogger', None)
    # Asking for one would make one.
    if loggers is None or not loggers._instance_dict:
        return None
    return next((handler.baseFilename
                 for handler in loggers.get_current_instance().handlers
                 if isinstance(handler, logging.FileHandler)), None)


def _new_file(name: str) -> str:
    with tempfile.NamedTemporaryFile(
            prefix=f'{Path(name).stem.split()[-1]}-', suffix='.log',
            delete=False) as file:
        return file.name


def _end_process(code: int) -> None:
    # All is written by now. At the regular end, gloo's threads sometimes abort
    # the process, and its exit code with it.
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
