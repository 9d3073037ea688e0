"""Choice of the host, and supported versions of it and its packages."""
from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from packaging.specifiers import SpecifierSet

from repmlp_lite.errors import HostError


class Package(NamedTuple):
    """Names under which a package is installed, and versions that work."""
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
    """Return the name of the host that is installed.

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
    """Check the versions of a host, one of :data:`HOSTS`, and its packages.

    Raises:
        HostError: If one is absent, or known not to work or to be unsafe.
    """
    own, mmcv = HOSTS[host]
    for name, package in {**ALWAYS, 'mmcv': mmcv, host: own}.items():
        distributions, supported = package
        distribution, found = _installed(package) or (None, None)
        if found is None or not SpecifierSet(supported).contains(
                found, prereleases=True):
            raise HostError(f'mmcls_repmlp needs {name}{supported}, but '
                            f'{found or "none"} is installed: run pip install '
                            f'"{distribution or distributions[0]}{supported}"')


def host_module(host: str, name: str = '') -> Any:
    """Import the host, or the module of a dotted name below it."""
    return import_module(f'{host}.{name}' if name else host)


def _installed(package: Package) -> tuple[str, str] | None:
    """Find the distribution and the version of a package."""
    for name in package.distributions:
        try:
            return name, version(name)
        except PackageNotFoundError:
            continue
    return None
