"""Which host this package plugs into, and what it needs of other packages."""
from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from packaging.specifiers import SpecifierSet

from repmlp_lite.errors import HostError


class Package(NamedTuple):
    """What is needed of a package.

    Attributes:
        distributions: Names under which it is installed.
        supported: Versions that work.
    """
    distributions: tuple[str, ...]
    supported: str


# The first is the one to install where there is none.
_MMCV = ('mmcv-lite', 'mmcv', 'onedl-mmcv')
# Each host by the name of its module, and the bounds that it sets for mmcv.
HOSTS = {
    'mmcls': (Package(('mmcls', ),
                      '>=1.0.0rc6,<1.1'), Package(_MMCV, '>=2.0.0rc4,<2.1')),
    'mmpretrain': (Package(('mmpretrain', 'onedl-mmpretrain'),
                           '>=1.2,<1.4'), Package(_MMCV, '>=2.0,<2.4')),
}
# torch 2.6 unpickles weights-only by default; mmengine 0.11 switches that off
# again, which would run code from a hostile file.
ALWAYS = {
    'torch': Package(('torch', ), '>=2.6'),
    'mmengine': Package(('mmengine', 'onedl-mmengine', 'mmengine-lite'),
                        '>=0.10,<0.11'),
}


def choose_host() -> str:
    """Tell which host is installed.

    Returns:
        'mmcls' or 'mmpretrain'.

    Raises:
        HostError: If none is, or both are: each registers a RepMLPNet of
            its own, and mmengine imports mmcls wherever it finds it.
    """
    found = {
        name: installed
        for name, (package, _) in HOSTS.items()
        if (installed := _installed(package)) is not None
    }
    if len(found) == 1:
        return next(iter(found))
    if not found:
        raise HostError(
            'mmcls_repmlp plugs into mmcls or mmpretrain, and neither is '
            'installed: run pip install "mmcls_repmlp[mmcls]", or '
            '"mmcls_repmlp[mmpretrain]"')
    names = [distribution for distribution, _ in found.values()]
    raise HostError(
        f'mmcls_repmlp plugs into one host, and {" and ".join(names)} are '
        'both installed: choose one, and take the other away by '
        f'{" or ".join(f"pip uninstall {name}" for name in names)}')


def check_versions(host: str) -> None:
    """Refuse versions that are known not to work, or to be unsafe.

    Args:
        host: One of :data:`HOSTS`.

    Raises:
        HostError: If a package is absent or of an unsupported version; one
            sentence names it, its version and the remedy.
    """
    package, mmcv = HOSTS[host]
    needed: Mapping[str, Package] = {**ALWAYS, 'mmcv': mmcv, host: package}
    for name, (distributions, supported) in needed.items():
        distribution, found = _installed(needed[name]) or (None, None)
        if found is None or not SpecifierSet(supported).contains(
                found, prereleases=True):
            raise HostError(f'mmcls_repmlp needs {name}{supported}, but '
                            f'{found or "none"} is installed: run pip install '
                            f'"{distribution or distributions[0]}{supported}"')


def host_module(host: str, name: str = '') -> Any:
    """Import the host, or a module of it.

    Args:
        host: Name of the host.
        name: Dotted name below the host. Defaults to '', the host itself.
    """
    return import_module(f'{host}.{name}' if name else host)


def _installed(package: Package) -> tuple[str, str] | None:
    """Find the distribution and the version of a package."""
    for name in package.distributions:
        try:
            return name, version(name)
        except PackageNotFoundError:
            continue
    return None
