"""Arguments in, exit code out: how every tool runs its job."""
from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pkgutil import resolve_name
from typing import Any

from repmlp_lite.errors import JobFailedError, UserError

from .boundary import outcome
from .failures import describe, keep_traceback

# mmengine finds packages by pkg_resources, and mmcv's operators by a function
# that Python 3.14 has dropped. Torch warns of more workers than cores, which
# configs for larger machines ask for.
_SILENCED = (('pkg_resources is deprecated',
              'mmengine'), ("'pkgutil.find_loader'", 'mmengine'),
             ('This DataLoader will create', 'torch'))


def run_tool(parser: argparse.ArgumentParser, job: str | Callable[..., object],
             args: argparse.Namespace) -> int:
    """Call a job by a tool's arguments and turn its outcome into a code.

    Whatever happens is one sentence for the user; the traceback of what was
    not foreseen goes to the log file that the sentence names.

    Args:
        parser: The tool's parser, for its name.
        job: The work, as of :func:`outcome`; 'MODULE:FUNCTION' to import it
            only now.
        args: The job's arguments. A rank among them, from older launchers, is
            for mmengine, which reads LOCAL_RANK.

    Returns:
        As :func:`outcome`; but one of several processes ends with that code
        and does not return.
    """
    arguments = vars(args).copy()
    if 'local_rank' in arguments:
        rank = arguments.pop('local_rank')
        os.environ.setdefault('LOCAL_RANK', str(rank or 0))
    code = outcome(parser.prog, lambda: _call(job, arguments), _failure)
    dist = sys.modules.get('torch.distributed')
    if dist and dist.is_available() and dist.is_initialized():
        _end_process(code)
    return code


def _call(job: str | Callable[..., object], arguments: dict[str, Any]) -> None:
    for name, value in arguments.items():
        if value == '' or (isinstance(value, list) and '' in value):
            # As a path it would be the folder that one is in.
            raise UserError(f'argument {name!r} is empty: give it a value (a '
                            'variable of the shell may not be set)')
    function = resolve_name(job) if isinstance(job, str) else job
    with warnings.catch_warnings():
        for message, module in _SILENCED:
            warnings.filterwarnings('ignore', message, module=module)
        function(**arguments)


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
