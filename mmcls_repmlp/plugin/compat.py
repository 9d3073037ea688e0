"""What this package needs from the packages it plugs into."""
from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet

# torch 2.6 unpickles weights-only by default; mmengine 0.11 switches that off
# again, which would run code from a hostile file; mmcls bounds mmcv.
SUPPORTED = {
    'torch': (('torch', ), '>=2.6'),
    'mmengine': (('mmengine', 'onedl-mmengine', 'mmengine-lite'),
                 '>=0.10,<0.11'),
    'mmcv': (('mmcv', 'mmcv-lite'), '>=2.0.0rc4,<2.1'),
    'mmcls': (('mmcls', ), '>=1.0.0rc6,<1.1'),
}


def check_versions() -> None:
    """Refuse versions that are known not to work, or to be unsafe.

    Raises:
        ImportError: If a package is absent or of an unsupported version; one
            sentence names it, its version and the remedy.
    """
    for name, (distributions, supported) in SUPPORTED.items():
        found = _installed_version(distributions)
        if found is None or not SpecifierSet(supported).contains(
                found, prereleases=True):
            raise ImportError(f'mmcls_repmlp needs {name}{supported}, but '
                              f'{found or "none"} is installed: run '
                              f'pip install "{distributions[-1]}{supported}"')


@contextmanager
def without_import_noise() -> Iterator[None]:
    """Silence the warnings that importing mmcls causes and no user can mend.

    mmcv-lite has no compiled operators, which no model here needs, and
    mmengine touches deprecated parts of torch.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'Fail to import')
        warnings.filterwarnings('ignore', category=DeprecationWarning)
        warnings.filterwarnings('ignore', category=FutureWarning)
        yield


def hush_mmengine() -> None:
    """Silence what mmengine warns of as it runs and no user can mend.

    It finds packages by pkg_resources, and mmcv's operators by a function of
    pkgutil that Python 3.14 has dropped.
    """
    for message in ('pkg_resources is deprecated', "'pkgutil.find_loader'"):
        warnings.filterwarnings('ignore', message, module='mmengine')


def mend_inferencer() -> None:
    """Give mmcls' inferencer what mmengine came to expect of it.

    mmengine 0.10 asks every inferencer whether to show its progress; mmcls
    1.0.0rc6 does not call the constructor that answers.
    """
    from mmcls import ImageClassificationInferencer
    if not hasattr(ImageClassificationInferencer, 'show_progress'):
        ImageClassificationInferencer.show_progress = False


def _installed_version(distributions: tuple[str, ...]) -> str | None:
    for name in distributions:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None
