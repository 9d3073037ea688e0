"""Choice of the host, its supported versions, and its quiet import."""
from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from packaging.specifiers import SpecifierSet

from repmlp_lite.errors import HostError

# Names under which a package is installed, and versions that work.
Package = tuple[tuple[str, ...], str]
# The first is the one to install if none is.
_MMCV = ('mmcv-lite', 'mmcv', 'onedl-mmcv')
# Each host by the name of its module, and the bounds that it sets for mmcv.
HOSTS = {
    'mmcls': ((('mmcls', ), '>=1.0.0rc6,<1.1'), (_MMCV, '>=2.0.0rc4,<2.1')),
    'mmpretrain': ((('mmpretrain', 'onedl-mmpretrain'), '>=1.2,<1.4'),
                   (_MMCV, '>=2.0,<2.4')),
}
# torch 2.6 unpickles weights-only by default; mmengine 0.11 switches that off
# again, which would run code from a hostile file.
ALWAYS = {
    'torch': (('torch', ), '>=2.6'),
    'mmengine': (('mmengine', 'onedl-mmengine', 'mmengine-lite'),
                 '>=0.10,<0.11'),
}


def choose_host() -> str:
    """Return the name of the host that is installed.

    Raise HostError if both are: each registers its own RepMLPNet, and mmengine
    imports mmcls wherever it is installed.
    """
    found = {
        host: _installed(distributions)[0]
        for host, ((distributions, _), _) in HOSTS.items()
    }
    names = [name for name in found.values() if name]
    if len(names) == 1:
        return next(host for host, name in found.items() if name)
    if not names:
        raise HostError(
            'mmcls_repmlp plugs into mmcls or mmpretrain, and neither is '
            'installed: run pip install "mmcls_repmlp[mmcls]", or '
            '"mmcls_repmlp[mmpretrain]"')
    raise HostError(
        f'mmcls_repmlp plugs into one host, and {" and ".join(names)} are '
        'both installed: choose one, and remove the other with '
        f'{" or ".join(f"pip uninstall {name}" for name in names)}')


def check_versions(host: str) -> None:
    """Raise HostError if a package is missing or its version unsupported."""
    own, mmcv = HOSTS[host]
    for name, (distributions, supported) in {
            **ALWAYS, 'mmcv': mmcv,
            host: own
    }.items():
        distribution, found = _installed(distributions)
        if not found or not SpecifierSet(supported).contains(
                found, prereleases=True):
            raise HostError(f'mmcls_repmlp needs {name}{supported}, but '
                            f'{found or "none"} is installed: run pip install '
                            f'"{distribution or distributions[0]}{supported}"')


def host_module(host: str, name: str = '') -> Any:
    """Import the host, or the module of a dotted name below it."""
    return import_module(f'{host}.{name}' if name else host)


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


def _installed(distributions: tuple[str, ...]) -> tuple[str, str]:
    """Return the first installed name and its version, or empty strings."""
    for name in distributions:
        with suppress(PackageNotFoundError):
            return name, version(name)
    return '', ''
