"""Warnings of the host's import that no user can mend."""
from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def silence_import_warnings() -> Iterator[None]:
    """Silence warnings and prints of a host's import within the block.

    mmcv-lite lacks compiled operators, which no model here needs, mmengine
    uses deprecated parts of torch, and onedl-mmpretrain prints that a product
    of its maintainers is not installed.
    """
    printed = io.StringIO()
    try:
        with warnings.catch_warnings(), redirect_stdout(printed):
            warnings.filterwarnings('ignore', 'Fail to import')
            warnings.filterwarnings('ignore', category=DeprecationWarning)
            warnings.filterwarnings('ignore', category=FutureWarning)
            yield
    finally:
        sys.stdout.write(printed.getvalue().replace('Could not import OneDL\n',
                                                    ''))
