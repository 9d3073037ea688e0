"""What went wrong, in a sentence, and its traceback in a file."""
from __future__ import annotations

import logging
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path

from repmlp_lite.errors import describe, is_out_of_memory  # noqa: F401

# A sentence, not the novel that some errors tell.
LONGEST = 303


def keep_traceback(error: BaseException, name: str) -> str:
    """Write the traceback of an error to the log of the run.

    If there is no log, to a file of its own, called after ``name``.

    Returns:
        Where the traceback stands, as the end of a sentence; empty if it
        cannot be written anywhere.
    """
    text = ''.join(traceback.format_exception(error))
    for place in (_log_file, lambda: _own_file(name)):
        with suppress(OSError):
            path = place()
            if path is not None:
                with open(path, 'a', encoding='utf-8') as file:
                    file.write(f'\n{text}')
                return f' (the traceback is in {path})'
    return ''


def _log_file() -> Path | None:
    loggers = getattr(sys.modules.get('mmengine.logging'), 'MMLogger', None)
    # Asking for one would make one.
    if loggers is None or not loggers._instance_dict:
        return None
    paths = [
        handler.baseFilename
        for handler in loggers.get_current_instance().handlers
        if isinstance(handler, logging.FileHandler)
    ]
    return Path(paths[-1]) if paths else None


def _own_file(name: str) -> Path:
    with tempfile.NamedTemporaryFile(
            prefix=f'{Path(name).stem}-', suffix='.log', delete=False) as file:
        return Path(file.name)
