"""Warnings of the host that no user can mend, and that are not shown."""
from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_import_noise() -> Iterator[None]:
    """Silence the warnings that importing a host causes.

    mmcv-lite has no compiled operators, which no model here needs, and
    mmengine touches deprecated parts of torch.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'Fail to import')
        warnings.filterwarnings('ignore', category=DeprecationWarning)
        warnings.filterwarnings('ignore', category=FutureWarning)
        yield


def hush_mmengine() -> None:
    """Silence what mmengine causes warnings of as it runs.

    It finds packages by pkg_resources, and mmcv's operators by a function of
    pkgutil that Python 3.14 has dropped. Torch warns of more workers than
    cores, which configs for larger machines ask for.
    """
    for message in ('pkg_resources is deprecated', "'pkgutil.find_loader'"):
        warnings.filterwarnings('ignore', message, module='mmengine')
    warnings.filterwarnings(
        'ignore', 'This DataLoader will create', module='torch')
