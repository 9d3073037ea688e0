"""Run torchrun, and at its end print one line of its processes alone."""
from __future__ import annotations

from repmlp_lite.signals import LAST_LINE, exit_on_stop

if __name__ == '__main__':
    exit_on_stop()  # before the other imports

import logging
import os
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run


def launch(argv: Sequence[str] | None = None) -> int:
    """Run a tool by torchrun's arguments and return its exit code."""
    args = parse_args(argv)
    logging.disable(logging.ERROR)  # of torchrun, about each process
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'line')
        os.environ[LAST_LINE] = str(path)
        code, reason = _run(args)
        exit_on_stop()  # torchrun has its own handlers
        line = (
            path.read_text(encoding='utf-8') if path.exists() else
            f'{Path(args.training_script).name}: {reason}')
    if code:
        print(line, file=sys.stderr)
    return code


def _run(args: Namespace) -> tuple[int, str]:
    try:
        run(args)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        code = failure.exitcode  # negative: the signal that killed it
        return (code if code > 0 else 128 - code,
                f'error: process {rank} ended with exit code {code}')
    except SignalException as stop:
        return 128 + stop.sigval, 'stopped'
    return 0, ''


if __name__ == '__main__':
    sys.exit(launch())
